/** Clients that send and read slowly, around a measurement of fast ones. */
import { cpuBetween } from "../measure.ts";
import type { Load, Target } from "./load.ts";

export interface SlowClients {
  uploads: number;
  uploadPath: string;
  downloads: number;
  downloadPath: string;
}

const uploadBytes = 1_000_000;
/** With 1 KB each half second an upload would take 8 minutes: all of them outlast the measurement. */
const pieceBytes = 1_024;
const pieceEveryMs = 500;
/** A reader takes what its socket buffer holds (64 KB at first), then leaves the connection alone for this long. */
const readEveryMs = 5_000;
/** The measurement begins when the first burst is over: when the server uses less than this share of one core. */
const quietShare = 0.15;
const quietEveryMs = 500;
const settleMs = 20_000;
const piece = "u".repeat(pieceBytes);

/** `fast`, while slow clients are connected. */
export function amongSlow(fast: Load, slow: SlowClients): Load {
  return {
    ...fast,
    label: `${fast.label}, while ${slow.uploads} uploads send ${pieceBytes} bytes every ${pieceEveryMs} ms and ${slow.downloads} downloads of 4 MiB read every ${readEveryMs} ms (bench/load/slow.ts)`,
    surround: (target) => startSlow(target, slow),
  };
}

async function startSlow(target: Target, slow: SlowClients): Promise<() => Promise<string[]>> {
  const crowd = new Crowd(target.port);
  // Some at a time, as a real crowd would come.
  for (let number = 0; number < Math.max(slow.uploads, slow.downloads); number++) {
    if (number < slow.uploads) crowd.add(upload(slow.uploadPath));
    if (number < slow.downloads) crowd.add(download(slow.downloadPath));
    if (number % 10 === 0) await Bun.sleep(10);
  }
  const restless = await settle(target);
  return async () => [...(await crowd.end()), ...restless];
}

/** Waits until the server has taken in what came at once; an error when it does not come to rest. */
async function settle({ server }: Target): Promise<string[]> {
  const until = performance.now() + settleMs;
  while (performance.now() < until) {
    const before = server.cpu();
    await Bun.sleep(quietEveryMs);
    if (cpuBetween(before, server.cpu()).ns < quietShare * quietEveryMs * 1e6) return [];
  }
  return [`still busy with the slow clients alone after ${settleMs / 1000} s`];
}

/** One way of being slow. */
interface Pace {
  everyMs: number;
  first: string;
  /** Reads only in its turn. */
  reader: boolean;
  turn(socket: Bun.Socket): void;
}

function upload(path: string): Pace {
  return {
    everyMs: pieceEveryMs,
    first: `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: ${uploadBytes}\r\n\r\n`,
    reader: false,
    turn: (socket) => void socket.write(piece),
  };
}

function download(path: string): Pace {
  return {
    everyMs: readEveryMs,
    first: `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    reader: true,
    turn: (socket) => void socket.resume(),
  };
}

class Crowd {
  readonly #port: number;
  readonly #sockets: Bun.Socket[] = [];
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  readonly #opening: Promise<unknown>[] = [];
  #lost = 0;
  #failed = 0;
  #refused = 0;
  #ending = false;

  constructor(port: number) {
    this.#port = port;
  }

  add(pace: Pace): void {
    const opened = Bun.connect({
      hostname: "127.0.0.1",
      port: this.#port,
      socket: {
        open: (socket) => this.#begin(socket, pace),
        data: (socket, bytes) => this.#take(socket, bytes, pace),
        close: () => this.#lose(),
      },
    });
    this.#opening.push(
      opened.catch(() => {
        this.#failed++;
      }),
    );
  }

  #begin(socket: Bun.Socket, pace: Pace): void {
    this.#sockets.push(socket);
    socket.write(pace.first);
    if (pace.reader) socket.pause();
    this.#timers.push(setInterval(() => pace.turn(socket), pace.everyMs));
  }

  #take(socket: Bun.Socket, bytes: Uint8Array, pace: Pace): void {
    if (pace.reader) socket.pause();
    else if (bytes.length > 0) this.#refused++; // An answer before the upload is complete.
  }

  #lose(): void {
    if (!this.#ending) this.#lost++;
  }

  async end(): Promise<string[]> {
    this.#ending = true;
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all(this.#opening);
    for (const socket of this.#sockets) socket.terminate();
    const counts = {
      "slow connections refused": this.#failed,
      "slow connections closed by the server": this.#lost,
      "slow uploads answered early": this.#refused,
    };
    return Object.entries(counts).flatMap(([what, times]) => (times > 0 ? [`${times} ${what}`] : []));
  }
}
