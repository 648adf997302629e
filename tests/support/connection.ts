/** A connection without a socket: the test holds both ends, the clock and the log. */
import { Timers } from "../../src/base/timers.ts";
import { H1Server } from "../../src/http/h1/server.ts";
import { Headers } from "../../src/http/headers.ts";
import type { Body, Reply } from "../../src/http/message.ts";
import type { Piece, Transport } from "../../src/net/transport.ts";
import { Exchange } from "../../src/web/exchange.ts";
import type { ClientLimits } from "../../src/web/limits.ts";
import type { Handler, Location } from "../../src/web/pipeline.ts";
import { ConnectionClient } from "../../src/worker/client.ts";
import { type Address, Connection } from "../../src/worker/connection.ts";
import type { Service } from "../../src/worker/service.ts";
import { countersOf } from "./counters.ts";
import { bareLocation, bareServer } from "./exchange.ts";

/** A transport that the test holds both ends of. */
export class FakeTransport implements Transport {
  sent = "";
  unsent = 0;
  /** The peer does not read: everything is kept. */
  stuck = false;
  state: "open" | "shutdown" | "ended" | "aborted" = "open";
  paused = false;
  sendFile?: (fd: number, offset: number, length: number) => number;
  readonly peerAddress = "192.0.2.7";
  readonly peerPort = 4711;
  readonly localAddress = "192.0.2.1";
  write(pieces: readonly Piece[]): boolean {
    for (const piece of pieces) {
      const text = typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1");
      this.sent += text;
      if (this.stuck) this.unsent += text.length;
    }
    return this.unsent === 0;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  shutdown(): void {
    this.state = "shutdown";
  }
  end(): void {
    this.state = "ended";
  }
  abort(): void {
    this.state = "aborted";
  }
}

/** Answers with five bytes. */
export const hello: Handler = () => reply({ kind: "bytes", bytes: Buffer.from("hello") }, 5);

export function reply(body: Body, length?: number): Reply {
  const headers = new Headers();
  if (length !== undefined) headers.add("Content-Length", String(length));
  return { head: { status: 200, headers }, body };
}

/** A connection to a server whose one location has this handler, and these limits besides the usual. */
export function connectionTo(handler: Handler = hello, limits: Partial<ClientLimits> = {}) {
  let now = 0;
  const log: string[] = [];
  /** Of each request: what the access log sees. */
  const logged: string[] = [];
  const transport = new FakeTransport();
  const location: Location = {
    ...bareLocation,
    handlers: [handler],
    logs: [({ reply, method, closes }) => logged.push(`${method} ${reply?.head.status}${closes ? " close" : ""}`)],
    errorLog: { wants: () => true, log: (level, message) => log.push(`${level}: ${message}`) },
    limits: { ...bareLocation.limits, ...limits },
  };
  const server = { ...bareServer, root: location };
  const address: Address = {
    defaultServer: server,
    open: (request, client, body) => new Exchange({ request, client, body, server, startedAt: 0 }, request.path, ""),
  };
  const service: Service = {
    timers: new Timers(() => now),
    log: location.errorLog,
    counters: countersOf(),
    lane: 0,
    maxConnections: 100,
    connections: new Set(),
    draining: false,
  };
  const { connections, timers, counters } = service;
  const client = new ConnectionClient(transport, { address: "127.0.0.1", port: "80" }, 0, undefined);
  counters.add(0, "active", 1);
  const connection = new Connection(transport, new H1Server(), service, address, client);
  connections.add(connection);
  /** Lets `seconds` pass, a second at a time; `each` happens every second. */
  const pass = (seconds: number, each: () => void = () => {}) => {
    for (let i = 0; i < seconds; i++) {
      each();
      now += 1000;
      timers.tick();
    }
  };
  const send = async (text: string) => {
    connection.onBytes(Buffer.from(text, "latin1"));
    await Promise.resolve();
    await Promise.resolve();
  };
  return { connection, connections, counters, service, transport, log, logged, pass, send };
}

export const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
/** The turn has ended. */
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
