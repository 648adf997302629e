/** ngx_http_log_module */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { faultOf } from "../support/configuration.ts";
import { NginxServer } from "../support/nginx_server.ts";
import { until } from "../support/server.ts";
import { testSite } from "../support/site.ts";
import { ask } from "../support/socket.ts";

const site = testSite(
  `
  log_format short "$uri $status $body_bytes_sent";
  log_format sent "$bytes_sent";
  log_format pipelined "$uri $pipe";
  log_format parts "$uri";
  map $arg_a $interesting { default 0; yes 1; empty ""; }
  server {
    listen 127.0.0.1:PORT;
    location /combined { access_log DIR/combined.log; return 200 hello; }
    location /short { access_log DIR/short.log short; return 204; }
    location /several { access_log DIR/one.log short; access_log DIR/two.log short; return 200 x; }
    location /off { access_log DIR/off.log short; access_log off; return 200 x; }
    location /if { access_log DIR/if.log short if=$interesting; return 200 $arg_a; }
    location /path { access_log DIR/path-$arg_name.log SHORT; return 200 x; }
    location /none { access_log DIR/none/$arg_name.log short; return 200 x; }
    location /rootless { root DIR/nowhere; access_log DIR/rootless-$arg_name.log short; return 200 x; }
    location /sent { access_log DIR/sent.log sent; return 200 x; }
    location /pipelined { access_log DIR/pipelined.log pipelined; return 200 x; }
    location /syslog { access_log syslog:server=unix:DIR/none.sock short; return 200 x; }
  }`,
);

const path = (name: string): string => site.server.path(name);
const logOf = (name: string): string => (existsSync(path(name)) ? readFileSync(path(name), "latin1") : "");
/** The log's text, as soon as it has so many lines. */
async function lines(name: string, count: number): Promise<string> {
  await until(() => logOf(name).split("\n").length > count, `${count} lines in ${name}`);
  return logOf(name);
}

test("the combined format", async () => {
  await site.get("/combined?b", "User-Agent: curl", "Referer: http://x/", "Authorization: Basic YW5uOng=");
  expect((await lines("combined.log", 1)).replace(/\[[^\]]*\]/, "[…]")).toBe(
    '127.0.0.1 - ann […] "GET /combined?b HTTP/1.1" 200 5 "http://x/" "curl"\n',
  );
});

test("formats of one's own, several logs, none", async () => {
  await site.get("/off");
  await site.get("/several");
  await site.get("/short");
  expect(await lines("short.log", 1)).toBe("/short 204 0\n");
  expect(await lines("one.log", 1)).toBe("/several 200 1\n");
  expect(await lines("two.log", 1)).toBe("/several 200 1\n");
  expect(logOf("off.log")).toBe("");
});

test("a condition", async () => {
  for (const a of ["no", "empty", "yes"]) await site.get(`/if?a=${a}`);
  expect(await lines("if.log", 1)).toBe("/if 200 3\n");
});

test("paths with variables: only while the site's root is there", async () => {
  mkdirSync(path("html"), { recursive: true });
  await site.get("/path?name=a");
  await site.get("/path?name=b");
  expect(await lines("path-a.log", 1)).toBe("/path 200 1\n");
  expect(await lines("path-b.log", 1)).toBe("/path 200 1\n");
  await site.get("/rootless?name=a");
  await site.server.logged(/\[error\].* testing ".*nowhere" existence failed \(2: No such file or directory\)/);
  await site.get("/none?name=a");
  await site.server.logged(/\[crit\].* open\(\) ".*none\/a\.log" failed \(2: No such file or directory\)/);
  expect(existsSync(path("rootless-a.log"))).toBe(false);
});

test("what was sent, head and body; who had come early", async () => {
  const response = await site.get("/sent");
  expect(await lines("sent.log", 1)).toBe(`${response.length}\n`);
  const one = "GET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n";
  await ask(site.server.port, one + one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  expect(await lines("pipelined.log", 2)).toBe("/pipelined .\n/pipelined p\n");
});

test("a syslog server that is not there harms nobody", async () => {
  expect(await site.get("/syslog")).toEndWith("x");
  await site.server.logged(/while logging to syslog, server: unix:.*none\.sock/);
});

const buffered = (port: number) => `
daemon off; user root; pid nginx.pid; error_log error.log info; events { }
http {
  log_format uri $uri;
  access_log buffered.log uri buffer=1k;
  access_log late.log uri buffer=1k flush=50ms;
  access_log zipped.gz uri gzip=9;
  server { listen 127.0.0.1:${port}; return 200 x; }
}`;

test("buffers: written when their time has come, when logs are opened anew, and at the end", async () => {
  const server = await NginxServer.start(buffered);
  const read = (name: string) => readFileSync(server.path(name));
  try {
    await server.text("/a");
    await until(() => read("late.log").toString() === "/a\n", "the line after its time");
    expect(read("buffered.log").toString()).toBe("");
    renameSync(server.path("buffered.log"), server.path("old.log"));
    server.signal("SIGUSR1");
    await until(() => existsSync(server.path("buffered.log")) && read("old.log").length > 0, "the new log");
    expect(read("old.log").toString()).toBe("/a\n");
    await server.text("/b");
    server.signal("SIGTERM");
    await server.process.exited;
    expect(read("buffered.log").toString()).toBe("/b\n");
    expect(gunzipSync(read("zipped.gz")).toString()).toBe("/a\n/b\n");
  } finally {
    await server[Symbol.asyncDispose]();
  }
});

test.each([
  ["log_format combined x;", 'duplicate "log_format" name "combined"'],
  ["log_format a x; log_format a y;", 'duplicate "log_format" name "a"'],
  ["access_log /a missing;", 'unknown log format "missing"'],
  ["access_log off combined;", 'invalid parameter "combined"'],
  ["access_log /a combined what;", 'invalid parameter "what"'],
  ["access_log /a combined buffer=x;", 'invalid buffer size "x"'],
  ["access_log /a combined buffer=1k flush=x;", 'invalid flush time "x"'],
  ["access_log /a combined flush=1s;", 'no buffer is defined for access_log "/a"'],
  ["access_log /a combined gzip=10;", 'invalid compression level "10"'],
  ["access_log /$uri combined buffer=1k;", "buffered logs cannot have variables in name"],
  ["access_log syslog:server=127.0.0.1 combined buffer=1k;", "logs to syslog cannot be buffered"],
  [
    "access_log /a combined buffer=1k; access_log /a combined buffer=2k;",
    'access_log "/a" already defined with conflicting parameters',
  ],
  ["open_log_file_cache valid=1m;", '"open_log_file_cache" must have "max" parameter'],
  ["open_log_file_cache max=x;", 'invalid "open_log_file_cache" parameter "max=x"'],
  ["open_log_file_cache max=10 inactive=1m valid=1h min_uses=2;", undefined],
  ["access_log syslog:facility=user;", "no syslog server specified"],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
