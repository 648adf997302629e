/** ngx_http_grpc_module against an upstream that says, frame by frame, what a test wants; with faults. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { join } from "node:path";
import { flag, frame } from "../../src/http/h2/frames.ts";
import { block, data, type Fields, latin1, makeFrame, ping, reset, settings, windowUpdate } from "../support/h2.ts";
import { goaway, type H2Peer, H2Upstream, head } from "../support/h2_upstream.ts";
import { freePort } from "../support/nginx_server.ts";
import { bodyOf, testSite } from "../support/site.ts";

const [port, otherPort, closedPort] = [freePort(), freePort(), freePort()];
const upstream = new H2Upstream();
const other = new H2Upstream();
beforeAll(() => Promise.all([upstream.listen(port), other.listen(otherPort)]));
afterAll(() => {
  upstream.close();
  other.close();
});

const site = testSite(`
  http2 on;
  upstream kept { server 127.0.0.1:${port}; keepalive 4; }
  upstream crossed { server 127.0.0.1:${port}; keepalive 4; }
  upstream two { server 127.0.0.1:${port} max_fails=0; server 127.0.0.1:${otherPort} backup; }
  server {
    listen 127.0.0.1:PORT;
    location / { grpc_pass 127.0.0.1:${port}; add_header X-Status $upstream_status; }
    location /scheme { grpc_pass grpc://127.0.0.1:${port}; }
    location /variable { grpc_pass grpc://$arg_to; }
    location /kept { grpc_pass kept; }
    location /crossed { grpc_pass crossed; }
    location /two { grpc_pass two; grpc_next_upstream error timeout invalid_header http_503; }
    location /set { grpc_pass 127.0.0.1:${port}; grpc_set_header Host custom; grpc_set_header X-Method $request_method; grpc_set_header X-Gone ""; }
    location /args { set $args $arg_c; grpc_pass 127.0.0.1:${port}; }
    location /fields { grpc_pass 127.0.0.1:${port}; grpc_hide_header X-Hidden; grpc_pass_header Server; grpc_ignore_headers X-Accel-Redirect; }
    location /accel { grpc_pass 127.0.0.1:${port}; }
    location /elsewhere { return 200 "elsewhere"; }
    location /intercept { grpc_pass 127.0.0.1:${port}; grpc_intercept_errors on; error_page 404 = /elsewhere; }
    location /slow { grpc_pass 127.0.0.1:${port}; grpc_read_timeout 1s; }
    location /stuck { grpc_pass 127.0.0.1:${port}; grpc_send_timeout 1s; }
    location /upload { client_max_body_size 0; grpc_pass 127.0.0.1:${port}; }
    location /big { grpc_pass 127.0.0.1:${port}; grpc_buffer_size 32k; }
    location /away { grpc_pass 127.0.0.1:${closedPort}; error_page 502 = @unavailable; }
    location @unavailable {
      internal; default_type application/grpc; add_header grpc-status 14; add_header grpc-message unavailable; return 204;
    }
  }`);

const errors = (): Promise<string> => Bun.file(join(site.server.directory.path, "error.log")).text();

const sessions: ClientHttp2Session[] = [];
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
}

function call(path: string, fields: Readonly<Record<string, string>> = {}, end = false): ClientHttp2Stream {
  const session = connect(`http://127.0.0.1:${site.server.port}`);
  session.on("error", () => {});
  sessions.push(session);
  const usual = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
  return session.request({ ...usual, ":path": path, ...fields }, { endStream: end });
}

/** Rejects where the stream is reset. */
function answerTo(stream: ClientHttp2Stream): Promise<Answer> {
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

function ask(path: string, body = "hello", fields: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const stream = call(path, fields);
  stream.end(body);
  return answerTo(stream);
}

const trailers = (stream: number, fields: Fields): Buffer =>
  makeFrame(frame.headers, flag.endHeaders | flag.endStream, stream, block(fields));
const grpcHead: Fields = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];
const grpcReply = (stream: number, text: string): Buffer =>
  Buffer.concat([
    head(stream, grpcHead),
    data(stream, text, false),
    trailers(stream, [
      ["grpc-status", "0"],
      ["grpc-message", ""],
    ]),
  ]);

/** Whoever connects gets this, once its first request's head has come; resolves with that connection. */
function once(act: (peer: H2Peer) => void, on = upstream): Promise<H2Peer> {
  return new Promise((resolve) => {
    on.serve = async (peer) => {
      await peer.next("headers");
      act(peer);
      resolve(peer);
    };
  });
}

test("a call: its request, its response, its trailers", async () => {
  const peer = once((to) => to.send(grpcReply(1, "world")));
  const { status, headers, body, trailers: last } = await ask("/say.Hello?a=b", "hello", { "x-mine": "1" });
  expect([status, body, headers["content-type"]]).toEqual([200, "world", "application/grpc"]);
  expect([last["grpc-status"], last["grpc-message"]]).toEqual(["0", ""]);
  const seen = (await peer).seen();
  expect(seen[2]).toBe(
    `headers 1 [:method: POST, :scheme: http, :path: /say.Hello?a=b, :authority: 127.0.0.1:${port}, te: trailers, content-type: application/grpc, x-mine: 1]`,
  );
});

test("grpc:// in front of the address, variables, a group: the authority is what is named", async () => {
  for (const [path, authority] of [
    ["/scheme", `127.0.0.1:${port}`],
    [`/variable?to=127.0.0.1:${port}`, `127.0.0.1:${port}`],
    ["/variable?to=kept", "kept"],
    ["/kept", "kept"],
  ] as const) {
    const peer = once((to) => {
      to.send(grpcReply(1, "x"), goaway(1));
    });
    expect((await ask(path)).body).toBe("x");
    expect((await peer).seen()[2]).toContain(`:authority: ${authority},`);
  }
});

test("grpc_set_header: Host takes the authority's place, an empty value nothing's; `set $args` is heard", async () => {
  const peer = once((to) => to.send(grpcReply(1, "x")));
  await ask("/set", "hello", { "x-gone": "1" });
  expect((await peer).seen()[2]).toBe(
    "headers 1 [:method: POST, :scheme: http, :path: /set, te: trailers, host: custom, x-method: POST, content-type: application/grpc]",
  );
  const second = once((to) => to.send(grpcReply(1, "x")));
  await ask("/args?c=1");
  expect((await second).seen()[2]).toContain(":path: /args?1,");
});

test("messages go both ways while both bodies are open", async () => {
  const peer = once((to) => to.send(head(1, grpcHead)));
  const stream = call("/chat");
  const headed = new Promise((resolve) => stream.once("response", resolve));
  const answer = answerTo(stream);
  stream.write("one");
  const far = await peer;
  await far.receivedData(3);
  await headed;
  const heard = new Promise((resolve) => stream.once("data", (piece: Buffer) => resolve(piece.toString())));
  far.send(data(1, "1", false));
  expect(await heard).toBe("1");
  stream.write("two");
  await far.receivedData(6);
  far.send(data(1, "2", false), trailers(1, [["grpc-status", "0"]]));
  stream.end();
  const { body, trailers: last } = await answer;
  expect([body, last["grpc-status"]]).toEqual(["12", "0"]);
});

test("an error without a body is one frame of HEADERS", async () => {
  once((to) => to.send(head(1, [...grpcHead, ["grpc-status", "12"], ["grpc-message", "unknown"]], true)));
  const { status, headers, body } = await ask("/error");
  expect([status, body, headers["grpc-status"], headers["grpc-message"]]).toEqual([200, "", "12", "unknown"]);
});

test("a call that is answered before it is complete", async () => {
  const peer = once((to) => to.send(grpcReply(1, "enough"), reset(1, 0)));
  const stream = call("/early");
  stream.write("a");
  expect((await answerTo(stream)).body).toBe("enough");
  await (await peer).whenClosed();
});

test("what is hidden, passed on, obeyed and not", async () => {
  const more: Fields = [
    ["server", "theirs"],
    ["date", "then"],
    ["x-hidden", "1"],
    ["x-accel-redirect", "/elsewhere"],
    ["x-accel-buffering", "yes"],
  ];
  once((to) => to.send(head(1, [...grpcHead, ...more]), data(1, "x")));
  const { headers, body } = await ask("/fields");
  expect([body, headers.server, headers["x-hidden"]]).toEqual(["x", "theirs", undefined]);
  expect(headers.date).not.toBe("then");
  once((to) => to.send(head(1, [...grpcHead, ...more]), data(1, "x")));
  expect((await ask("/accel")).body).toBe("elsewhere");
});

test("grpc_intercept_errors; what cannot be reached is a gRPC error where error_page says so", async () => {
  once((to) => to.send(head(1, [[":status", "404"]]), data(1, "theirs")));
  expect((await ask("/intercept")).body).toBe("elsewhere");
  const { status, headers } = await ask("/away");
  expect([status, headers["grpc-status"], headers["grpc-message"]]).toEqual([204, "14", "unavailable"]);
});

test("a client of HTTP/1.1 is served, too", async () => {
  const peer = once((to) => to.send(head(1, grpcHead), data(1, "x")));
  const text = await site.request("GET", "/one", "TE: trailers, deflate", "Connection: close, TE");
  expect(text).toStartWith("HTTP/1.1 200 ");
  expect(bodyOf(text)).toContain("x");
  expect((await peer).seen()[2]).toBe(
    `headers 1 [:method: GET, :scheme: http, :path: /one, :authority: 127.0.0.1:${port}, te: trailers] END`,
  );
});

test("one connection carries call after call, and answers its upstream in between", async () => {
  const before = upstream.connections;
  let peer: H2Peer | undefined;
  upstream.answers(({ stream }, from) => {
    peer = from;
    return grpcReply(stream, String(stream));
  });
  expect((await ask("/kept")).body).toBe("1");
  expect((await ask("/kept")).body).toBe("3");
  peer?.send(settings([4, 70_000]));
  await peer?.until(() => peer?.seen().filter((line) => line === "settings ack").length === 2);
  expect((await ask("/kept")).body).toBe("5");
  expect(upstream.connections - before).toBe(1);
  // It leaves: the next call has a new connection.
  peer?.send(goaway(5));
  peer?.end();
  await peer?.whenClosed();
  expect((await ask("/kept")).body).toBe("1");
  expect(upstream.connections - before).toBe(2);
});

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
    once((to) => to.send(bytes(1)));
    other.answers(({ stream }) => grpcReply(stream, "other"));
    expect((await ask("/two")).body).toBe("other");
  });

test("a call of which part has been sent is not made again", async () => {
  const peer = once(() => {});
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
    once(act);
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
    const peer = once((to) => to.send(head(1, [...grpcHead, ["content-length", "50"]]), data(1, "part", false)));
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
  once((to) => to.send(head(1, [...grpcHead, ["x-long", "y".repeat(15_000)]]), data(1, "x")));
  expect((await ask("/big")).headers["x-long"]).toBe("y".repeat(15_000));
});

test("a silent upstream is given up", async () => {
  once(() => {});
  expect((await ask("/slow")).status).toBe(504);
  expect(await errors()).toContain("upstream timed out (110: Connection timed out) while reading response header");
});

test("an upstream whose window stays closed is given up", async () => {
  const peer = once(() => {});
  const answer = ask("/stuck", "x".repeat(100_000));
  const far = await peer;
  expect((await answer).status).toBe(504);
  expect(far.dataLength).toBe(65535);
  expect(await errors()).toContain("upstream timed out (110: Connection timed out) while sending request to upstream");
});

test("the upstream's window holds the client back, its opening lets it go on", async () => {
  const size = 3 * 1024 * 1024;
  const peer = once(() => {});
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
  const peer = once((to) => to.send(head(1, grpcHead)));
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
