/**
 * What a request costs from the socket's bytes to the socket's bytes, without the kernel, in nanoseconds:
 * `bun bench/micro/request.ts`. Best of several runs, so read it as a floor.
 */
import { Dispatcher } from "../../src/app/dispatch.ts";
import { frameType, headerBytes } from "../../src/app/frames.ts";
import { Link } from "../../src/app/link.ts";
import { Timers } from "../../src/base/timers.ts";
import { H1Server } from "../../src/http/h1/server.ts";
import { sharedMemory } from "../../src/net/libc.ts";
import { StreamTransport, streamEvents } from "../../src/net/stream.ts";
import type { Piece } from "../../src/net/transport.ts";
import { Scoreboard, scoreboardSize } from "../../src/shm/scoreboard.ts";
import { Site } from "../../src/web/site.ts";
import { ConnectionClient } from "../../src/worker/client.ts";
import { Connection } from "../../src/worker/connection.ts";
import type { Service } from "../../src/worker/service.ts";
import { built, runtime } from "../../tests/support/configuration.ts";
import { countersOf } from "../../tests/support/counters.ts";

/** Connections whose requests are read in one turn of the loop. */
const connections = 32;

const usual = `GET /shop/items?page=3 HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: wrk/4.1.0\r\nAccept: */*\r\n\r\n`;
const answer = Buffer.from(
  "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 18:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: keep-alive\r\n\r\nHello, World!",
);

/** The upstream's ends of the connections, with requests that wait for their answer. */
const asked: { answer(): void }[] = [];

/** A socket of the runtime, as far as a transport knows one. */
class FakeSocket {
  data: unknown;
  readonly localAddress = "127.0.0.1";
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 40000;
  written = 0;
  write(bytes: Uint8Array, _from = 0, length = bytes.length): number {
    this.written += length;
    return length;
  }
  pause(): void {}
  resume(): void {}
  terminate(): void {}
  close(): void {}
}

class Upstream extends FakeSocket {
  override write(bytes: Uint8Array, from = 0, length = bytes.length): number {
    asked.push(this);
    return super.write(bytes, from, length);
  }
  answer(): void {
    streamEvents.data?.(this as never, Buffer.from(answer));
  }
}

/** An application's worker, which answers all requests of a turn at once. */
class FakeWorker {
  readonly unsent = 0;
  readonly peerAddress = "";
  readonly localAddress = "";
  readonly peerPort = 0;
  link: Link | undefined;
  write(pieces: readonly Piece[]): boolean {
    const bytes = pieces[0] as Buffer;
    const answers: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += headerBytes + bytes.readUInt32LE(at)) {
      const frame = Buffer.from(appAnswer);
      frame.writeUInt32LE(bytes.readUInt32LE(at + 8), 8);
      answers.push(frame);
    }
    asked.push({ answer: () => this.link?.onBytes(Buffer.concat(answers)) });
    return true;
  }
  pause(): void {}
  resume(): void {}
  shutdown(): void {}
  end(): void {}
  abort(): void {}
}

const appHead = "OK\nContent-Type\ntext/plain\nContent-Length\n13";

/** A RESPONSE frame (docs/worker-protocol.md). */
const appAnswer = Buffer.concat([
  Buffer.from([4 + appHead.length + 13, 0, 0, 0, frameType.response, 0, 200, 0, 0, 0, 0, 0, appHead.length, 0, 0, 0]),
  Buffer.from(`${appHead}Hello, World!`),
]);

function fakeApplication(timers: Timers): Dispatcher {
  const fd = sharedMemory("board", scoreboardSize(8));
  const board = new Scoreboard(fd);
  board.initialise(8, 1);
  const log = { debug() {}, info() {}, warning() {}, error() {} };
  const dispatcher = new Dispatcher({ board, webWorker: 0, timers, log, queueTimeoutMs: 0 });
  const memory = Bun.mmap(`/proc/self/fd/${fd}`, { shared: true });
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  view.setInt32(640 + 12, 1, true);
  view.setFloat64(640 + 56, 0.00001, true);
  const worker = new FakeWorker();
  worker.link = new Link(worker, dispatcher, "00".repeat(16), log);
  const hello = Buffer.alloc(headerBytes + 24);
  hello.writeUInt32LE(24, 0);
  hello[4] = frameType.hello;
  worker.link.onBytes(hello);
  return dispatcher;
}

function fakeConnections(): void {
  const connect = ({ socket }: { readonly socket: { open(socket: unknown): void } }): Promise<unknown> => {
    const upstream = new Upstream();
    socket.open(upstream);
    setImmediate(() => streamEvents.drain?.(upstream as never));
    return Promise.resolve(upstream);
  };
  Object.assign(Bun, { connect });
}

/** A turn of the loop: each connection has a request, and the upstreams answer what they were asked. */
async function turn(clients: readonly StreamTransport[], request: Buffer): Promise<void> {
  for (const client of clients) client.handler?.onBytes(Buffer.from(request));
  do {
    for (const upstream of asked.splice(0)) upstream.answer();
    await new Promise(setImmediate);
  } while (asked.length > 0);
}

async function measure(name: string, http: string, request: Buffer): Promise<void> {
  const timers = new Timers();
  const counters = countersOf();
  const configuration = built(`events { } http { access_log off; keepalive_requests 1000000000; ${http} }`);
  const zone = (wanted: string): number => {
    const found = configuration.setup.zones.find(({ name }) => name === wanted);
    return sharedMemory(wanted, found?.sizeBytes ?? 0);
  };
  const site = new Site(configuration, { ...runtime, timers, counters, zone, app: () => fakeApplication(timers) });
  const address = site.addresses.get("127.0.0.1:8000");
  if (address === undefined) throw new Error("nobody listens");
  const service: Service = {
    timers,
    log: runtime.log,
    counters,
    lane: 0,
    maxConnections: 1000,
    connections: new Set(),
    draining: false,
  };
  const sockets: FakeSocket[] = [];
  const clients = Array.from({ length: connections }, () => {
    const socket = new FakeSocket();
    sockets.push(socket);
    const transport = new StreamTransport(socket as never);
    const client = new ConnectionClient(transport, { address: "127.0.0.1", port: "8000" }, 0, undefined);
    transport.handler = new Connection(transport, new H1Server(address.policyFor(client)), service, address, client);
    return transport;
  });
  // Connections to upstreams are made first.
  await turn(clients, request);
  for (let i = 0; i < 10; i++) await turn([], request);
  const turns = 600;
  let best = Number.POSITIVE_INFINITY;
  let cpu = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 40; run++) {
    const before = process.cpuUsage();
    const start = Bun.nanoseconds();
    for (let i = 0; i < turns; i++) await turn(clients, request);
    best = Math.min(best, (Bun.nanoseconds() - start) / (turns * connections));
    const { user, system } = process.cpuUsage(before);
    cpu = Math.min(cpu, ((user + system) * 1000) / (turns * connections));
  }
  if (sockets.some(({ written }) => written < 40 * turns * 100)) throw new Error(`${name}: not all was answered`);
  console.log(`${name.padEnd(40)} ${best.toFixed(0).padStart(6)} ns, ${cpu.toFixed(0).padStart(6)} ns of CPU`);
}

fakeConnections();
const only = process.argv[2] ?? "";
const many = (count: number, text: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => text(i)).join(" ");
const hello = 'return 200 "Hello, World!";';
const cases: Readonly<Record<string, readonly [http: string, request?: string]>> = {
  gif: [`server { listen 127.0.0.1:8000; location / { empty_gif; } }`],
  return: [`server { listen 127.0.0.1:8000; location / { ${hello} } }`],
  app: [`app a { module a; } server { listen 127.0.0.1:8000; location / { app_pass a; } }`],
  names: [
    many(
      200,
      (i) => `server { listen 127.0.0.1:8000; server_name www.tenant${i}.example *.tenant${i}.example;
      ${many(30, (k) => `location /static/${k}/ { ${hello} }`)}
      ${many(20, (k) => `location ~ ^/shop/${k}/items/(\\d+)\\.json$ { return 200 "item $1 of ${k}"; }`)} }`,
    ),
    usual.replace("localhost", "www.tenant149.example").replace("/shop/items", "/shop/15/items/77.json"),
  ],
  limit_req: [
    `limit_req_zone $binary_remote_addr zone=all:10m rate=1000000r/s;
    server { listen 127.0.0.1:8000; limit_req zone=all burst=100000 nodelay; location / { ${hello} } }`,
  ],
  least_conn: [
    `upstream u { least_conn; server 127.0.0.1:18000; server 127.0.0.1:18001; keepalive 64; }
    server { listen 127.0.0.1:8000; location / {
      proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } }`,
  ],
  proxy: [
    `upstream u { server 127.0.0.1:18000; keepalive 64; } server { listen 127.0.0.1:8000; location / {
    proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } }`,
  ],
};
for (const [name, [http, text = usual]] of Object.entries(cases))
  if (name.includes(only)) await measure(name, http, Buffer.from(text));
process.exit(0);
