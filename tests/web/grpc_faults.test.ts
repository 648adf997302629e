/** ngx_http_grpc_module with upstreams that break rules, refuse, stall, and leave in the middle. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { frame } from "../../src/http/h2/frames.ts";
import { answerTo, GrpcCaller, grpcHead, grpcReply, once, trailers } from "../support/grpc.ts";
import { data, latin1, makeFrame, ping, reset, windowUpdate } from "../support/h2.ts";
import { goaway, type H2Peer, H2Upstream, head } from "../support/h2_upstream.ts";
import { freePort } from "../support/nginx_server.ts";
import { testSite } from "../support/site.ts";

const [port, otherPort] = [freePort(), freePort()];
const upstream = new H2Upstream();
const other = new H2Upstream();
beforeAll(() => Promise.all([upstream.listen(port), other.listen(otherPort)]));
afterAll(() => {
  upstream.close();
  other.close();
});

const site = testSite(`
  http2 on;
  upstream crossed { server 127.0.0.1:${port}; keepalive 4; }
  upstream two { server 127.0.0.1:${port} max_fails=0; server 127.0.0.1:${otherPort} backup; }
  server {
    listen 127.0.0.1:PORT;
    location / { grpc_pass 127.0.0.1:${port}; }
    location /crossed { grpc_pass crossed; }
    location /two { grpc_pass two; grpc_next_upstream error timeout invalid_header http_503; }
    location /slow { grpc_pass 127.0.0.1:${port}; grpc_read_timeout 1s; }
    location /stuck { grpc_pass 127.0.0.1:${port}; grpc_send_timeout 1s; }
    location /upload { client_max_body_size 0; grpc_pass 127.0.0.1:${port}; }
    location /big { grpc_pass 127.0.0.1:${port}; grpc_buffer_size 32k; }
  }`);

const errors = (): Promise<string> => Bun.file(join(site.server.directory.path, "error.log")).text();

const caller = new GrpcCaller(() => site.server.port);
const call = caller.call.bind(caller);
const ask = caller.ask.bind(caller);
afterEach(() => caller.close());

test("a goodbye that crosses a call: it is made again, whatever its method, and nobody hears of it", async () => {
  let calls = 0;
  upstream.answers(({ stream }) => (++calls === 2 ? goaway(1) : grpcReply(stream, `call ${calls}`)));
  expect((await ask("/crossed")).body).toBe("call 1");
  expect((await ask("/crossed")).body).toBe("call 3");
});

const refusals: readonly (readonly [string, (stream: number) => Uint8Array])[] = [
  ["GOAWAY", () => goaway(0)],
  ["GOAWAY with an error", () => goaway(0, 11)],
  ["REFUSED_STREAM", (stream) => reset(stream, 7)],
];
for (const [what, bytes] of refusals)
  test(`${what} on a new connection: another server is asked, though it is POST`, async () => {
    once(upstream, (to) => to.send(bytes(1)));
    other.answers(({ stream }) => grpcReply(stream, "other"));
    expect((await ask("/two")).body).toBe("other");
  });

test("a call of which part has been sent is not made again", async () => {
  const peer = once(upstream, () => {});
  const stream = call("/two");
  const answer = answerTo(stream);
  stream.write("part");
  const far = await peer;
  await far.receivedData(4);
  far.send(reset(1, 7));
  expect((await answer).status).toBe(502);
});

const broken: readonly (readonly [string, (peer: H2Peer) => void, string])[] = [
  ["a reset", (peer) => peer.send(reset(1, 2)), "upstream rejected request with error 2"],
  ["garbage", (peer) => peer.send(latin1("HTTP/1.1 200 OK\r\n\r\n")), "upstream sent too large frame"],
  [
    "a frame that is too large",
    (peer) => peer.send(makeFrame(frame.data, 0, 1, new Uint8Array(20_000))),
    "upstream sent too large frame: 20000",
  ],
  [
    "a head that is too large",
    (peer) => peer.send(head(1, [...grpcHead, ["x", "y".repeat(9000)]])),
    "upstream sent too big header",
  ],
  ["a head that is none", (peer) => peer.send(head(1, [["content-type", "x"]])), "upstream sent no :status header"],
  ["an end too early", (peer) => peer.end(), "upstream prematurely closed connection"],
];
for (const [what, act, message] of broken)
  test(`${what} instead of a response is 502, and the log says why`, async () => {
    once(upstream, act);
    expect((await ask("/broken")).status).toBe(502);
    expect(await errors()).toContain(message);
  });

const cut: readonly (readonly [string, (peer: H2Peer) => void])[] = [
  ["a reset", (peer) => peer.send(reset(1, 2))],
  ["a goodbye that leaves it out", (peer) => peer.send(goaway(0, 2))],
  ["the connection's end", (peer) => peer.end()],
  ["the connection's reset", (peer) => peer.destroy()],
  ["too much body", (peer) => peer.send(data(1, "x".repeat(100)))],
];
for (const [what, act] of cut)
  test(`${what} in the middle of a response breaks the client's off`, async () => {
    const peer = once(upstream, (to) =>
      to.send(head(1, [...grpcHead, ["content-length", "50"]]), data(1, "part", false)),
    );
    const stream = call("/cut");
    stream.end("hello");
    const answer = answerTo(stream);
    await new Promise((resolve) => stream.once("data", resolve));
    act(await peer);
    const outcome = await answer.then(
      () => "complete",
      () => "broken off",
    );
    expect(outcome).toBe("broken off");
    expect(await errors()).toContain("the response was cut off");
  });

test("grpc_buffer_size: what a head may have", async () => {
  once(upstream, (to) => to.send(head(1, [...grpcHead, ["x-long", "y".repeat(15_000)]]), data(1, "x")));
  expect((await ask("/big")).headers["x-long"]).toBe("y".repeat(15_000));
});

test("a silent upstream is given up", async () => {
  once(upstream, () => {});
  expect((await ask("/slow")).status).toBe(504);
  expect(await errors()).toContain("upstream timed out (110: Connection timed out) while reading response header");
});

test("an upstream whose window stays closed is given up", async () => {
  const peer = once(upstream, () => {});
  const answer = ask("/stuck", "x".repeat(100_000));
  const far = await peer;
  expect((await answer).status).toBe(504);
  expect(far.dataLength).toBe(65535);
  expect(await errors()).toContain("upstream timed out (110: Connection timed out) while sending request to upstream");
});

test("the upstream's window holds the client back, its opening lets it go on", async () => {
  const size = 3 * 1024 * 1024;
  const peer = once(upstream, () => {});
  const stream = call("/upload", { "content-length": String(size) });
  const answer = answerTo(stream);
  stream.end(Buffer.alloc(size, 65));
  const far = await peer;
  for (let open = 65535; open < size; open += 500_000) {
    await far.receivedData(Math.min(open, size));
    far.send(windowUpdate(0, 500_000), windowUpdate(1, 500_000));
  }
  await far.receivedData(size);
  far.send(grpcReply(1, "all"));
  expect((await answer).body).toBe("all");
});

test("a client that does not read holds the upstream back", async () => {
  const peer = once(upstream, (to) => to.send(head(1, grpcHead)));
  const stream = call("/download");
  stream.end();
  await new Promise((resolve) => stream.once("response", resolve));
  stream.pause();
  const far = await peer;
  const piece = data(1, "x".repeat(16_000), false);
  const granted = (): number =>
    far.frames.reduce(
      (sum, { kind, stream: id, payload }) =>
        kind === "windowUpdate" && id === 1 ? sum + payload.readUInt32BE(0) : sum,
      256 * 1024,
    );
  let sent = 0;
  // Until a hundred answers have come without a window: what the two ends hold between them is bounded.
  for (let silent = 0; silent < 100; silent++) {
    while (sent + 16_000 <= granted()) {
      far.send(piece);
      sent += 16_000;
      silent = 0;
    }
    expect(sent).toBeLessThan(8 * 1024 * 1024);
    far.send(ping());
    await far.next("ping");
  }
  const answer = answerTo(stream);
  stream.resume();
  far.send(trailers(1, [["grpc-status", "0"]]));
  expect((await answer).body.length).toBe(sent);
});
