/** zlib's streams, asked piece by piece: what goes in, and what comes out for it. The work is done by the runtime's threads. */
import { constants, createGunzip, createGzip, type Gunzip, type Gzip } from "node:zlib";

export class Transcoder {
  readonly #stream: Gzip | Gunzip;
  #out: Uint8Array[] = [];
  #failure: Error | undefined;
  #onFailure: ((error: Error) => void) | undefined;

  constructor(stream: Gzip | Gunzip) {
    this.#stream = stream;
    stream.on("data", (bytes: Uint8Array) => this.#out.push(bytes));
    stream.on("error", (error: Error) => {
      this.#failure = error;
      this.#onFailure?.(error);
    });
  }

  /**
   * Ask again only when the promise is settled. What comes out may be nothing. `last`: nothing follows, what comes out is the end.
   * Rejects with zlib's reason.
   */
  transform(bytes: Uint8Array, last: boolean): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#onFailure = reject;
      const stream = this.#stream;
      const done = (): void => resolve(this.#take());
      if (last) stream.once("end", done).end(bytes);
      else stream.write(bytes, done);
    });
  }

  #take(): Uint8Array {
    // What is ready has been handed over by now; where the stream waits with some of it, this makes it hand it over.
    while (this.#stream.read() !== null);
    const out = this.#out;
    this.#out = [];
    return out.length === 1 && out[0] !== undefined ? out[0] : Buffer.concat(out);
  }

  /** Gives its memory back, whatever it is doing. */
  close(): void {
    this.#stream.destroy();
  }
}

/** `flushes`: what goes in comes out at once, not when there is enough of it to be packed well. */
export const gzipper = (level: number, flushes: boolean): Transcoder =>
  new Transcoder(createGzip({ level, flush: flushes ? constants.Z_SYNC_FLUSH : constants.Z_NO_FLUSH }));

/** Several gzip members are one content (RFC 1952 2.2). What has no proper end is a failure. */
export const gunzipper = (): Transcoder => new Transcoder(createGunzip({ flush: constants.Z_SYNC_FLUSH }));
