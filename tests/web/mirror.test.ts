/** ngx_http_mirror_module */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { faultOf } from "../support/configuration.ts";
import { until } from "../support/server.ts";
import { bodyOf, testSite } from "../support/site.ts";
import { ask } from "../support/socket.ts";

/** Never answers; what it was sent is in `received`. */
let received = "";
const sockets = new Set<Socket>();
const silent = createServer((socket) => {
  sockets.add(socket);
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
  });
  socket.on("error", () => {});
}).listen(0, "127.0.0.1");
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  silent.close();
});
const silentPort = (silent.address() as { port: number }).port;

const site = testSite(
  `
  log_format mirrored "$uri $request_method $args $status";
  client_body_buffer_size 4k;
  server {
    listen 127.0.0.1:PORT;
    location / { mirror /copy; location /off { mirror off; } }
    location /several { mirror /copy/1; mirror /copy/2; }
    location /silent { mirror /nobody; proxy_pass http://127.0.0.1:PORT/echo; }
    location /bodiless { mirror /bare; mirror_request_body off; proxy_pass http://127.0.0.1:PORT/echo; }
    location /streamed { mirror /nobody; proxy_request_buffering off; proxy_pass http://127.0.0.1:PORT/echo; }
    location /echo { return 200 "length $content_length"; }
    location /copy { internal; log_subrequest on; access_log DIR/copies.log mirrored; try_files /none =404; }
    location /nobody { internal; proxy_pass http://127.0.0.1:${silentPort}; }
    location /bare { internal; proxy_pass http://127.0.0.1:${silentPort}; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
  }`,
  { "index.html": "index", file: "content", off: "off", several: "several" },
);

const copies = (): string => {
  const path = site.server.path("copies.log");
  return existsSync(path) ? readFileSync(path, "latin1") : "";
};
const copied = (line: string) => until(() => copies().split("\n").includes(line), `${line} in the log`);
const post = (target: string, body: string): Promise<string> =>
  ask(
    site.server.port,
    `POST ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );

test("a request is copied, and its answer is not the copy's", async () => {
  expect(bodyOf(await site.get("/file?one"))).toBe("content");
  await copied("/copy GET one 404");
});

test("several copies; none", async () => {
  expect(bodyOf(await site.get("/off?two"))).toBe("off");
  expect(bodyOf(await site.get("/several?three"))).toBe("several");
  await copied("/copy/1 GET three 404");
  await copied("/copy/2 GET three 404");
  expect(copies()).not.toContain("two");
});

test("after an internal redirect once more", async () => {
  expect(bodyOf(await site.get("/?four"))).toBe("index");
  await until(() => copies().split("/copy GET four 404").length === 3, "two copies");
});

test("the body goes to the copy, too, which nobody waits for", async () => {
  received = "";
  const body = "small".repeat(10);
  expect(bodyOf(await post("/silent", body))).toBe("length 50");
  await until(() => received.endsWith(body), "the body at the mirror");
  expect(received).toStartWith("POST /nobody HTTP/1.");
});

test("a large body is kept for the copy when the request is over", async () => {
  received = "";
  const body = Array.from({ length: 40_000 }, (_, i) => String(i % 10)).join("");
  expect(bodyOf(await post("/silent", body))).toBe("length 40000");
  await until(() => received.endsWith(body), "the body at the mirror");
});

test("a body that is to be streamed is copied, too", async () => {
  received = "";
  for (const body of ["small", "large".repeat(2000)]) {
    expect(bodyOf(await post("/streamed", body))).toBe(`length ${body.length}`);
    await until(() => received.endsWith(body), "the body at the mirror");
  }
});

test("copies without the body", async () => {
  received = "";
  expect(bodyOf(await post("/bodiless", "secret"))).toBe("length 6");
  await until(() => received.includes("\r\n\r\n"), "the request at the mirror");
  expect(received).toStartWith("POST /bare HTTP/1.");
  expect(received).not.toContain("secret");
});

test.each([
  ["mirror /a; mirror off;", '"mirror" directive is duplicate'],
  ["mirror off; mirror /a;", '"mirror" directive is duplicate'],
  ["mirror /a; mirror /b; mirror_request_body off;", undefined],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
