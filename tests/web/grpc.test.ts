/** ngx_http_grpc_module against an upstream that says, frame by frame, what a test wants. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { answerTo, GrpcCaller, grpcHead, grpcReply, once, trailers } from "../support/grpc.ts";
import { data, type Fields, reset, settings } from "../support/h2.ts";
import { goaway, type H2Peer, H2Upstream, head } from "../support/h2_upstream.ts";
import { freePort } from "../support/nginx_server.ts";
import { bodyOf, testSite } from "../support/site.ts";

const [port, closedPort] = [freePort(), freePort()];
const upstream = new H2Upstream();
beforeAll(() => upstream.listen(port));
afterAll(() => upstream.close());

const site = testSite(`
  http2 on;
  upstream kept { server 127.0.0.1:${port}; keepalive 4; }
  upstream early { server 127.0.0.1:${port}; keepalive 4; }
  server {
    listen 127.0.0.1:PORT;
    location / { grpc_pass 127.0.0.1:${port}; add_header X-Status $upstream_status; }
    location /scheme { grpc_pass grpc://127.0.0.1:${port}; }
    location /variable { grpc_pass grpc://$arg_to; }
    location /kept { grpc_pass kept; }
    location /early-kept { grpc_pass early; }
    location /set { grpc_pass 127.0.0.1:${port}; grpc_set_header Host custom; grpc_set_header X-Method $request_method; grpc_set_header X-Gone ""; }
    location /args { set $args $arg_c; grpc_pass 127.0.0.1:${port}; }
    location /fields { grpc_pass 127.0.0.1:${port}; grpc_hide_header X-Hidden; grpc_pass_header Server; grpc_ignore_headers X-Accel-Redirect; }
    location /accel { grpc_pass 127.0.0.1:${port}; }
    location /elsewhere { return 200 "elsewhere"; }
    location /intercept { grpc_pass 127.0.0.1:${port}; grpc_intercept_errors on; error_page 404 = /elsewhere; }
    location /away { grpc_pass 127.0.0.1:${closedPort}; error_page 502 = @unavailable; }
    location @unavailable {
      internal; default_type application/grpc; add_header grpc-status 14; add_header grpc-message unavailable; return 204;
    }
  }`);

const caller = new GrpcCaller(() => site.server.port);
const call = caller.call.bind(caller);
const ask = caller.ask.bind(caller);
afterEach(() => caller.close());

test("a call: its request, its response, its trailers", async () => {
  const peer = once(upstream, (to) => to.send(grpcReply(1, "world")));
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
    const peer = once(upstream, (to) => {
      to.send(grpcReply(1, "x"), goaway(1));
    });
    expect((await ask(path)).body).toBe("x");
    expect((await peer).seen()[2]).toContain(`:authority: ${authority},`);
  }
});

test("grpc_set_header: Host takes the authority's place, an empty value nothing's; `set $args` is heard", async () => {
  const peer = once(upstream, (to) => to.send(grpcReply(1, "x")));
  await ask("/set", "hello", { "x-gone": "1" });
  expect((await peer).seen()[2]).toBe(
    "headers 1 [:method: POST, :scheme: http, :path: /set, te: trailers, host: custom, x-method: POST, content-type: application/grpc]",
  );
  const second = once(upstream, (to) => to.send(grpcReply(1, "x")));
  await ask("/args?c=1");
  expect((await second).seen()[2]).toContain(":path: /args?1,");
});

test("messages go both ways while both bodies are open", async () => {
  const peer = once(upstream, (to) => to.send(head(1, grpcHead)));
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
  once(upstream, (to) => to.send(head(1, [...grpcHead, ["grpc-status", "12"], ["grpc-message", "unknown"]], true)));
  const { status, headers, body } = await ask("/error");
  expect([status, body, headers["grpc-status"], headers["grpc-message"]]).toEqual([200, "", "12", "unknown"]);
});

test("a call that is answered before it is complete", async () => {
  const peer = once(upstream, (to) => to.send(grpcReply(1, "enough"), reset(1, 0)));
  const stream = call("/early");
  stream.write("a");
  expect((await answerTo(stream)).body).toBe("enough");
  await (await peer).whenClosed();
});

test("… over a connection that is kept: the rest is called off, and the next call goes over it", async () => {
  let peer: H2Peer | undefined;
  upstream.answers(({ stream }, from) => {
    peer = from;
    return grpcReply(stream, String(stream));
  });
  const before = upstream.connections;
  const stream = call("/early-kept");
  stream.write("a");
  expect((await answerTo(stream)).body).toBe("1");
  await peer?.until(() => peer?.seen().includes("rstStream 1 8") === true);
  expect((await ask("/early-kept")).body).toBe("3");
  expect(upstream.connections - before).toBe(1);
});

test("what is hidden, passed on, obeyed and not", async () => {
  const more: Fields = [
    ["server", "theirs"],
    ["date", "then"],
    ["x-hidden", "1"],
    ["x-accel-redirect", "/elsewhere"],
    ["x-accel-buffering", "yes"],
  ];
  once(upstream, (to) => to.send(head(1, [...grpcHead, ...more]), data(1, "x")));
  const { headers, body } = await ask("/fields");
  expect([body, headers.server, headers["x-hidden"]]).toEqual(["x", "theirs", undefined]);
  expect(headers.date).not.toBe("then");
  once(upstream, (to) => to.send(head(1, [...grpcHead, ...more]), data(1, "x")));
  expect((await ask("/accel")).body).toBe("elsewhere");
});

test("grpc_intercept_errors; what cannot be reached is a gRPC error where error_page says so", async () => {
  once(upstream, (to) => to.send(head(1, [[":status", "404"]]), data(1, "theirs")));
  expect((await ask("/intercept")).body).toBe("elsewhere");
  const { status, headers } = await ask("/away");
  expect([status, headers["grpc-status"], headers["grpc-message"]]).toEqual([204, "14", "unavailable"]);
});

test("a client of HTTP/1.1 is served, too", async () => {
  const peer = once(upstream, (to) => to.send(head(1, grpcHead), data(1, "x")));
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
