/** A server that behaves as it is told to, and who asks it: for tests of connections to upstreams. */
import { expect } from "bun:test";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { Timers } from "../../src/base/timers.ts";
import { Headers } from "../../src/http/headers.ts";
import type { Sink, Source, Tunnel } from "../../src/http/message.ts";
import { UpstreamConnection } from "../../src/web/upstream/connection.ts";
import {
  plainDialer,
  type UpstreamHandler,
  type UpstreamRequest,
  type UpstreamResponse,
} from "../../src/web/upstream/conversation.ts";
import type { UpstreamFailure } from "../../src/web/upstream/failure.ts";

let now = 0;
export const timers = new Timers(() => now);
/** Time passes; what is due happens. */
export function pass(ms: number): void {
  now += ms;
  timers.tick();
}

/** A server on a free port. */
export class UpstreamServer {
  /** What it does with each connection; set by each test. */
  serve: (socket: Socket) => void = () => {};
  readonly sockets = new Set<Socket>();
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    this.serve(socket);
  });

  listen(port = 0): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }

  /** A connection to it, fresh. */
  connect(): UpstreamConnection {
    return connectionTo({
      kind: "tcp",
      family: 4,
      host: "127.0.0.1",
      port: (this.#server.address() as AddressInfo).port,
    });
  }
}

export const connectionTo = (to: Parameters<typeof plainDialer>[0]): UpstreamConnection =>
  new UpstreamConnection(plainDialer(to, { noDelay: true }), timers);

export function get(change: Partial<UpstreamRequest["head"]> = {}, body?: Uint8Array | Source): UpstreamRequest {
  return {
    head: {
      method: "GET",
      target: "/",
      version: 11,
      headers: Headers.of(["Host", "a"]),
      bodyLength: undefined,
      ...change,
    },
    body,
    timeouts: { connect: 1000, send: 2000, read: 3000 },
    limits: { headLimit: 4096 },
  };
}

/** Writes down what happens, and lets a test wait for it. */
export class Recorder implements UpstreamHandler {
  readonly seen: string[] = [];
  response: UpstreamResponse | undefined;
  failure: UpstreamFailure | undefined;
  tunnel: Tunnel | undefined;
  #wake: () => void = () => {};

  note(what: string): void {
    this.seen.push(what);
    this.#wake();
  }
  onConnect(): void {
    this.note("connect");
  }
  onInterim({ status }: { readonly status: number }): void {
    this.note(`interim ${status}`);
  }
  onResponse(response: UpstreamResponse): void {
    this.response = response;
    this.note(`${response.head.status} ${response.body.kind}`);
  }
  onUpgrade(_: unknown, tunnel: Tunnel): void {
    this.tunnel = tunnel;
    this.note("tunnel");
  }
  onNote(_: string, detail: string): void {
    this.note(detail);
  }
  onEnd(): void {
    this.note("end");
  }
  onFailure(failure: UpstreamFailure): void {
    this.failure = failure;
    this.note(failure.detail);
  }

  async until(matches: (seen: readonly string[]) => boolean): Promise<string[]> {
    while (!matches(this.seen)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.seen;
  }
  over = () => this.until((seen) => seen.includes("end") || this.failure !== undefined);
}

export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** Reads a source to its end; a failure is the last line. */
export function readAll(source: Source): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const sink: Sink = {
      push: (bytes, last) => {
        text += textOf(bytes);
        if (last) resolve(text);
        else source.pull(sink);
      },
      fail: (reason) => resolve(`${text}\n${reason}`),
    };
    source.pull(sink);
  });
}

export async function bodyOf({ response }: Recorder): Promise<string> {
  const body = response?.body;
  if (body?.kind === "bytes") return textOf(body.bytes);
  return body?.kind === "stream" ? await readAll(body.source) : "";
}

/** Serves each request's head with `answers`, one after the other; "!" resets, "." closes behind what stands before it. */
export function answering(...answers: string[]): (socket: Socket) => void {
  return (socket) => {
    let heard = "";
    let i = 0;
    socket.on("data", (bytes) => {
      heard += bytes.toString("latin1");
      for (let end = heard.indexOf("\r\n\r\n"); end >= 0; end = heard.indexOf("\r\n\r\n")) {
        heard = heard.slice(end + 4);
        const answer = answers[Math.min(i++, answers.length - 1)] ?? "";
        const how = answer.at(-1);
        const text = how === "!" || how === "." ? answer.slice(0, -1) : answer;
        if (how === "!") socket.write(text, () => socket.resetAndDestroy());
        else if (how === ".") socket.end(text);
        else socket.write(text);
      }
    });
    socket.on("end", () => socket.end());
  };
}

/** One request, to the end of its exchange. */
export async function ask(connection: UpstreamConnection, request: UpstreamRequest = get()) {
  const recorder = new Recorder();
  connection.request(request, recorder);
  expect(recorder.seen).toEqual([]);
  await recorder.over();
  return { recorder, connection };
}

/** A response that fits into one piece. */
export const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
