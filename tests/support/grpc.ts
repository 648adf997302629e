/** gRPC calls, frame by frame where it matters: a client of them, and what their server says. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { flag, frame } from "../../src/http/h2/frames.ts";
import { block, data, type Fields, makeFrame } from "./h2.ts";
import { type H2Peer, type H2Upstream, head } from "./h2_upstream.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
}

/** Makes calls, each over a connection of its own. */
export class GrpcCaller {
  readonly #port: () => number;
  readonly #sessions: ClientHttp2Session[] = [];

  constructor(port: () => number) {
    this.#port = port;
  }

  /** Begins one. */
  call(path: string, fields: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    const session = connect(`http://127.0.0.1:${this.#port()}`);
    session.on("error", () => {});
    this.#sessions.push(session);
    return session.request({
      ":method": "POST",
      "content-type": "application/grpc",
      te: "trailers",
      ":path": path,
      ...fields,
    });
  }

  /** A whole one. */
  ask(path: string, body = "hello", fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const stream = this.call(path, fields);
    stream.end(body);
    return answerTo(stream);
  }

  close(): void {
    for (const session of this.#sessions.splice(0)) session.destroy();
  }
}

/** Rejects where the stream is reset. */
export function answerTo(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const pieces: Buffer[] = [];
    stream.on("response", (given) => {
      headers = given;
    });
    stream.on("trailers", (given) => {
      trailers = given;
    });
    stream.on("data", (piece: Buffer) => pieces.push(Buffer.from(piece)));
    stream.on("end", () => {
      const body = Buffer.concat(pieces).toString("latin1");
      resolve({ status: Number(headers[":status"]), headers, body, trailers });
    });
    stream.on("error", reject);
    stream.on("close", () => reject(new Error(`closed with ${stream.rstCode}`)));
  });
}

export const trailers = (stream: number, fields: Fields): Buffer =>
  makeFrame(frame.headers, flag.endHeaders | flag.endStream, stream, block(fields));
export const grpcHead: Fields = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];
export const grpcReply = (stream: number, text: string): Buffer =>
  Buffer.concat([
    head(stream, grpcHead),
    data(stream, text, false),
    trailers(stream, [
      ["grpc-status", "0"],
      ["grpc-message", ""],
    ]),
  ]);

/** Whoever connects next gets this, once its first request's head has come; resolves with that connection. */
export function once(upstream: H2Upstream, act: (peer: H2Peer) => void): Promise<H2Peer> {
  return new Promise((resolve) => {
    upstream.serve = async (peer) => {
      await peer.next("headers");
      act(peer);
      resolve(peer);
    };
  });
}
