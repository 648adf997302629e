/** proxy_cache and its kin, with an origin whose answers each test decides. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { isAlive, NginxServer, nginx } from "../support/nginx_server.ts";
import { until } from "../support/server.ts";
import { Client } from "../support/socket.ts";

let answer: (request: Request) => Response | Promise<Response> = () => new Response("unused");
/** Method and path of what the origin was asked. */
let asked: string[] = [];

const origin = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  fetch(request) {
    asked.push(`${request.method} ${new URL(request.url).pathname}`);
    return answer(request);
  },
});

/** What the second origin says before it closes the connection. */
let raw = "";
const rawOrigin = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: { data: (socket) => void socket.end(raw) },
});

const configuration = (port: number): string => `
daemon off;
user root;
pid nginx.pid;
error_log error.log info;
worker_processes 2;
events { }
http {
  access_log off;
  proxy_cache_path cache levels=1:2 keys_zone=main:1m;
  proxy_cache_path small keys_zone=small:1m max_size=40k manager_sleep=10ms;
  add_header X-Cache $upstream_cache_status always;
  add_header X-Worker $pid always;
  map $request_method $purges { PURGE 1; default 0; }
  server {
    listen 127.0.0.1:${port};
    proxy_cache main;
    proxy_cache_key $uri;
    location / { proxy_pass http://127.0.0.1:${origin.port}; proxy_cache_purge $purges; }
    location /own/ {
      proxy_pass http://127.0.0.1:${origin.port};
      proxy_cache_key $uri$http_authorization;
    }
    location /lock/ { proxy_pass http://127.0.0.1:${origin.port}; proxy_cache_lock on; }
    location /stale/ {
      proxy_pass http://127.0.0.1:${origin.port};
      proxy_cache_use_stale error http_503;
      proxy_cache_revalidate on;
    }
    location /background/ { proxy_pass http://127.0.0.1:${origin.port}; proxy_cache_background_update on; }
    location /twice/ { proxy_pass http://127.0.0.1:${origin.port}; proxy_cache_min_uses 2; }
    location /raw/ { proxy_pass http://127.0.0.1:${rawOrigin.port}; }
    location /small/ { proxy_pass http://127.0.0.1:${origin.port}; proxy_cache small; }
    location /dead/ { proxy_pass http://127.0.0.1:1; proxy_cache_valid 502 1m; }
  }
}
`;

let server: NginxServer;
beforeAll(async () => {
  server = await NginxServer.start(configuration);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rawOrigin.stop(true);
  await origin.stop(true);
});
beforeEach(() => {
  asked = [];
});

const cacheable = (
  body: string | Uint8Array<ArrayBuffer> | ReadableStream | null,
  fields: Record<string, string> = {},
  status = 200,
): Response => new Response(body, { status, headers: { "Cache-Control": "max-age=60", ...fields } });

interface Got {
  readonly status: number;
  readonly cache: string | null;
  readonly text: string;
  readonly headers: Headers;
}

async function get(path: string, fields: Record<string, string> = {}, method = "GET"): Promise<Got> {
  const response = await fetch(server.url(path), { method, headers: { Connection: "close", ...fields } });
  const { status, headers } = response;
  return { status, headers, cache: headers.get("x-cache"), text: await response.text() };
}

/** All files in a directory, however deep. */
function filesIn(name: string): string[] {
  const all = readdirSync(server.path(name), { recursive: true, withFileTypes: true });
  return all.filter((each) => each.isFile()).map((each) => each.name);
}

const deferred = () => Promise.withResolvers<void>();

test("a response is kept, and tells its age", async () => {
  answer = () => cacheable("one", { Age: "10", "Content-Type": "text/plain" });
  expect(await get("/kept")).toMatchObject({ status: 200, cache: "MISS", text: "one" });
  answer = () => cacheable("two");
  const second = await get("/kept");
  expect(second).toMatchObject({ cache: "HIT", text: "one" });
  expect(Number(second.headers.get("age"))).toBeWithin(10, 15);
  expect(second.headers.get("content-type")).toBe("text/plain");
  expect(asked).toEqual(["GET /kept"]);
});

test("HEAD is answered from what GET brought, and brings what GET needs", async () => {
  answer = () => cacheable("content");
  expect(await get("/head", {}, "HEAD")).toMatchObject({ cache: "MISS", text: "" });
  expect(await get("/head")).toMatchObject({ cache: "HIT", text: "content" });
  expect((await get("/head", {}, "HEAD")).headers.get("content-length")).toBe("7");
  expect(asked).toEqual(["GET /head"]);
});

test("conditions and ranges are judged by the cache", async () => {
  answer = () => cacheable("0123456789", { ETag: '"x"', "Accept-Ranges": "bytes" });
  expect(await get("/parts", { Range: "bytes=2-4" })).toMatchObject({ status: 206, cache: "MISS", text: "234" });
  expect(await get("/parts", { Range: "bytes=-2" })).toMatchObject({ status: 206, cache: "HIT", text: "89" });
  expect(await get("/parts", { "If-None-Match": '"x"' })).toMatchObject({ status: 304, text: "" });
  expect(await get("/parts")).toMatchObject({ status: 200, text: "0123456789" });
  expect(asked).toEqual(["GET /parts"]);
});

test("large contents are filled whatever the client does", async () => {
  const large = new Uint8Array(3_000_000).fill(120);
  const gone = deferred();
  answer = async () => {
    await gone.promise;
    return cacheable(large);
  };
  const aborted = new AbortController();
  const first = fetch(server.url("/large"), { signal: aborted.signal }).catch(() => undefined);
  await until(() => asked.length === 1, "the origin is asked");
  aborted.abort();
  await first;
  gone.resolve();
  let hit: Got | undefined;
  await until(async () => {
    hit = await get("/large");
    return hit.cache === "HIT";
  }, "the entry");
  expect(hit?.text.length).toBe(large.length);
  expect((await get("/large")).text).toBe("x".repeat(large.length));
});

test("a client that does not read keeps nobody waiting", async () => {
  const large = new Uint8Array(8_000_000).fill(121);
  answer = () => cacheable(large);
  using slow = await Client.open(server.port);
  slow.socket.pause();
  slow.send("GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  await until(async () => (await get("/slow")).cache === "HIT", "the entry");
  slow.socket.resume();
  const response = await slow.end();
  expect(response.length - response.indexOf("\r\n\r\n") - 4).toBe(large.length);
});

test("what breaks off is not kept", async () => {
  raw = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf";
  await get("/raw/x").catch(() => undefined);
  raw = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nwhole";
  expect(await get("/raw/x")).toMatchObject({ cache: "MISS", text: "whole" });
  expect(await get("/raw/x")).toMatchObject({ cache: "HIT", text: "whole" });
  expect(filesIn("cache/.filling")).toEqual([]);
});

test("of many who ask at once, through both web workers, one goes to the origin", async () => {
  const all = deferred();
  answer = async () => {
    await all.promise;
    return cacheable("locked");
  };
  const requests = Array.from({ length: 16 }, () => get("/lock/many"));
  await until(() => asked.length > 0, "the origin is asked");
  all.resolve();
  const got = await Promise.all(requests);
  expect(new Set(got.map(({ text }) => text))).toEqual(new Set(["locked"]));
  expect(new Set(got.map(({ headers }) => headers.get("x-worker"))).size).toBe(2);
  expect(got.filter(({ cache }) => cache === "MISS")).toHaveLength(1);
  expect(asked).toHaveLength(1);
});

test("a web worker that is killed while it fills leaves nothing half, and no lock", async () => {
  let isFirst = true;
  const begun = deferred();
  answer = () => {
    if (!isFirst) return cacheable("whole again");
    isFirst = false;
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(200_000));
        begun.resolve();
      },
    });
    return cacheable(body, { "X-Origin": "first" });
  };
  const response = await fetch(server.url("/lock/killed"));
  await begun.promise;
  const worker = Number(response.headers.get("x-worker"));
  await until(() => filesIn("cache/.filling").some((name) => name.startsWith(`${worker}-`)), "the filling");
  process.kill(worker, "SIGKILL");
  await response.arrayBuffer().catch(() => undefined);
  await until(() => !isAlive(worker), "the end of the worker");
  const since = performance.now();
  expect(await get("/lock/killed")).toMatchObject({ cache: "MISS", text: "whole again" });
  // Not after the lock's age of five seconds.
  expect(performance.now() - since).toBeLessThan(4000);
  expect(await get("/lock/killed")).toMatchObject({ cache: "HIT", text: "whole again" });
});

test("variants by Vary; a purge takes them all", async () => {
  answer = ({ headers }) => cacheable(headers.get("x-kind") ?? "none", { Vary: "X-Kind" });
  for (const kind of ["a", "b"])
    for (const cache of ["MISS", "HIT"])
      expect(await get("/vary", { "X-Kind": kind })).toMatchObject({ cache, text: kind });
  expect((await get("/vary", {}, "PURGE")).status).toBe(204);
  expect((await get("/vary", {}, "PURGE")).status).toBe(404);
  for (const kind of ["a", "b"]) expect((await get("/vary", { "X-Kind": kind })).cache).toBe("MISS");
});

test("what the origin was asked for before a purge is not kept after it", async () => {
  const held = deferred();
  answer = async () => {
    await held.promise;
    return cacheable("before");
  };
  const first = get("/overtaken");
  await until(() => asked.length === 1, "the origin is asked");
  await get("/overtaken", {}, "PURGE");
  held.resolve();
  expect((await first).text).toBe("before");
  answer = () => cacheable("after");
  expect(await get("/overtaken")).toMatchObject({ cache: "MISS", text: "after" });
});

test("a purge of a key with an asterisk takes all that begin so", async () => {
  answer = () => cacheable("x");
  for (const path of ["/tree/a", "/tree/b", "/trunk"]) await get(path);
  expect((await get("/tree/*", {}, "PURGE")).status).toBe(204);
  expect((await get("/tree/a")).cache).toBe("MISS");
  expect((await get("/tree/b")).cache).toBe("MISS");
  expect((await get("/trunk")).cache).toBe("HIT");
});

test("what a request has changed is forgotten (RFC 9111 4.4)", async () => {
  answer = () => cacheable("x");
  for (const path of ["/made", "/other"]) await get(path);
  answer = () => new Response("", { status: 201, headers: { Location: "/other" } });
  await get("/made", {}, "POST");
  answer = () => cacheable("y");
  for (const path of ["/made", "/other"]) expect(await get(path)).toMatchObject({ cache: "MISS", text: "y" });
});

test("nobody gets what was answered to another's credentials, or sets a cookie", async () => {
  answer = ({ headers }) => cacheable(`for ${headers.get("authorization")}`);
  expect((await get("/private", { Authorization: "a" })).text).toBe("for a");
  expect(await get("/private", { Authorization: "b" })).toMatchObject({ cache: "MISS", text: "for b" });
  // Where the key tells users apart, each has a copy.
  for (const user of ["a", "b"])
    for (const cache of ["MISS", "HIT"])
      expect(await get("/own/x", { Authorization: user })).toMatchObject({ cache, text: `for ${user}` });
  answer = () => cacheable("x", { "Set-Cookie": "a=b" });
  for (let i = 0; i < 2; i++) expect((await get("/cookie")).cache).toBe("MISS");
});

test("what is too old is revalidated, and has the new fields", async () => {
  answer = () => cacheable("kept", { "Cache-Control": "max-age=1", ETag: '"v"', "X-Old": "1", "X-Both": "1" });
  await get("/stale/validated");
  answer = ({ headers }) =>
    headers.get("if-none-match") === '"v"'
      ? cacheable(null, { "X-Both": "2" }, 304)
      : cacheable("not asked about", {}, 200);
  await until(async () => (await get("/stale/validated")).cache === "REVALIDATED", "the revalidation");
  const hit = await get("/stale/validated");
  expect(hit).toMatchObject({ cache: "HIT", text: "kept" });
  expect([hit.headers.get("x-old"), hit.headers.get("x-both")]).toEqual(["1", "2"]);
  expect(asked.filter((each) => each === "GET /stale/validated")).toHaveLength(2);
});

test("what is too old is better than an error, where the configuration says so", async () => {
  answer = () => cacheable("old", { "Cache-Control": "max-age=1" });
  await get("/stale/broken");
  answer = () => new Response("no", { status: 503 });
  await until(async () => (await get("/stale/broken")).cache === "STALE", "the stale response");
  expect(await get("/stale/broken")).toMatchObject({ status: 200, text: "old" });
  answer = () => new Response("gone", { status: 404 });
  expect(await get("/stale/broken")).toMatchObject({ status: 404, cache: "EXPIRED" });
  answer = () => cacheable("old", { "Cache-Control": "max-age=1, must-revalidate" });
  await get("/stale/strict");
  answer = () => new Response("no", { status: 503 });
  await until(async () => (await get("/stale/strict")).status === 503, "the error");
});

test("what is too old is renewed behind the clients' backs", async () => {
  answer = () => cacheable("old", { "Cache-Control": "max-age=1, stale-while-revalidate=60" });
  await get("/background/x");
  const renewed = deferred();
  answer = async () => {
    await renewed.promise;
    return cacheable("new");
  };
  await until(async () => (await get("/background/x")).cache === "STALE", "the stale response");
  expect(await get("/background/x")).toMatchObject({ cache: "UPDATING", text: "old" });
  expect(asked).toHaveLength(2);
  renewed.resolve();
  await until(async () => (await get("/background/x")).cache === "HIT", "the new response");
  expect((await get("/background/x")).text).toBe("new");
});

test("what is asked for seldom is not kept", async () => {
  answer = () => cacheable("x");
  expect((await get("/twice/x")).cache).toBe("MISS");
  expect((await get("/twice/x")).cache).toBe("MISS");
  expect((await get("/twice/x")).cache).toBe("HIT");
});

test("an origin that does not answer is left alone for a while", async () => {
  expect(await get("/dead/x")).toMatchObject({ status: 502, cache: "MISS" });
  expect(await get("/dead/x")).toMatchObject({ status: 502, cache: "HIT" });
});

test("the oldest make room", async () => {
  answer = () => cacheable("x".repeat(10_000));
  for (let i = 0; i < 10; i++) await get(`/small/${i}`);
  await until(() => filesIn("small").length <= 4, "the manager");
  expect((await get("/small/9")).cache).toBe("HIT");
  expect((await get("/small/0")).cache).toBe("MISS");
});

test("files may be removed by hand", async () => {
  answer = () => cacheable("x");
  await get("/removed");
  expect((await get("/removed")).cache).toBe("HIT");
  rmSync(server.path("cache"), { recursive: true });
  await until(async () => (await get("/removed")).cache === "MISS", "somebody notices");
  expect((await get("/removed")).cache).toBe("HIT");
});

test("entries survive a restart", async () => {
  answer = () => cacheable("survivor", { Vary: "X-Kind" });
  await get("/survives", { "X-Kind": "a" });
  await get("/survives", { "X-Kind": "b" });
  server.signal("SIGTERM");
  await server.process.exited;
  await until(() => !existsSync(server.path("nginx.pid")), "the end");
  const again = Bun.spawn([nginx, ...server.args()], { stdio: ["ignore", "ignore", "ignore"] });
  await until(() => existsSync(server.path("nginx.pid")), "the pid file");
  for (const kind of ["a", "b"])
    expect(await get("/survives", { "X-Kind": kind })).toMatchObject({ cache: "HIT", text: "survivor" });
  expect(again.exitCode).toBeNull();
});

test("a cache must exist", async () => {
  const wrong = (port: number) => configuration(port).replace("proxy_cache main;", "proxy_cache missing;");
  await expect(NginxServer.start(wrong)).rejects.toThrow('"proxy_cache" zone "missing" is unknown');
});
