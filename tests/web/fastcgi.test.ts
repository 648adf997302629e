/** ngx_http_fastcgi_module, ngx_http_scgi_module and ngx_http_memcached_module */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { freePort } from "../support/nginx_server.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";
import { UpstreamServer } from "../support/upstream.ts";

/** What an application was asked. */
interface Asked {
  readonly params: ReadonlyMap<string, string>;
  readonly body: string;
  readonly keeps: boolean;
}

const fastcgi = new UpstreamServer();
const fastcgiPort = freePort();
const scgi = new UpstreamServer();
const scgiPort = freePort();
const memcached = new UpstreamServer();
const memcachedPort = freePort();
const seen: Asked[] = [];
/** Connections that the FastCGI application has had. */
let connections = 0;
/** What it writes, by the path's last part: records (type, content). */
const answers: Record<string, readonly (readonly [type: number, content: string])[]> = {};
const values: Record<string, string> = {};

const record = (type: number, content: string): Buffer =>
  Buffer.concat([
    Buffer.from([1, type, 0, 1, content.length >> 8, content.length & 0xff, 0, 0]),
    Buffer.from(content, "latin1"),
  ]);

function paramsOf(bytes: Buffer): Map<string, string> {
  const found = new Map<string, string>();
  let at = 0;
  const length = (): number => {
    const first = bytes[at] ?? 0;
    at += first < 128 ? 1 : 4;
    return first < 128 ? first : bytes.readUInt32BE(at - 4) & 0x7fffffff;
  };
  while (at < bytes.length) {
    const nameLength = length();
    const valueLength = length();
    const name = bytes.latin1Slice(at, at + nameLength);
    at += nameLength + valueLength;
    found.set(name, bytes.latin1Slice(at - valueLength, at));
  }
  return found;
}

/** A FastCGI application: reads requests, and answers them as `answers` says. */
function application(socket: Socket): void {
  connections++;
  let heard = Buffer.alloc(0);
  let params: Buffer[] = [];
  let body = "";
  let keeps = false;
  socket.on("data", (bytes) => {
    heard = Buffer.concat([heard, Buffer.from(bytes.toString("latin1"), "latin1")]);
    while (heard.length >= 8) {
      const [, type, , , high = 0, low = 0, padding = 0] = heard;
      const length = high * 256 + low;
      if (heard.length < 8 + length + padding) return;
      const content = heard.subarray(8, 8 + length);
      heard = heard.subarray(8 + length + padding);
      if (type === 1) keeps = content[2] === 1;
      else if (type === 4) params.push(content);
      else if (length > 0) body += content.latin1Slice(0, length);
      else {
        const asked = { params: paramsOf(Buffer.concat(params)), body, keeps };
        seen.push(asked);
        const name = asked.params.get("SCRIPT_NAME")?.split("/").at(-1) ?? "";
        for (const [kind, text] of answers[name] ?? [[6, "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"]])
          socket.write(record(kind, text));
        socket.write(Buffer.concat([record(6, ""), record(3, "\0".repeat(8))]));
        params = [];
        body = "";
        if (!keeps) socket.end();
      }
    }
  });
  socket.on("end", () => socket.end());
}

const scgiSeen: string[] = [];
function scgiApplication(socket: Socket): void {
  let heard = "";
  socket.on("data", (bytes) => {
    heard += bytes.toString("latin1");
    const [, length = "0"] = /^(\d+):/.exec(heard) ?? [];
    const body = Number(/CONTENT_LENGTH\0(\d+)\0/.exec(heard)?.[1] ?? 0);
    if (heard.length < length.length + 2 + Number(length) + body) return;
    scgiSeen.push(heard);
    socket.end("Status: 202 Taken\r\nContent-Type: text/plain\r\n\r\nscgi");
  });
}

const keys: string[] = [];
function cacheServer(socket: Socket): void {
  socket.on("data", (bytes) => {
    const key = bytes.toString("latin1").slice(4, -2);
    keys.push(key);
    const value = values[key];
    socket.write(value === undefined ? "END\r\n" : `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`);
  });
}

beforeAll(async () => {
  fastcgi.serve = application;
  scgi.serve = scgiApplication;
  memcached.serve = cacheServer;
  await Promise.all([fastcgi.listen(fastcgiPort), scgi.listen(scgiPort), memcached.listen(memcachedPort)]);
});
afterAll(() => {
  for (const each of [fastcgi, scgi, memcached]) each.close();
});

const site = testSite(`
  fastcgi_cache_path DIR/cache keys_zone=one:1m;
  upstream kept { server 127.0.0.1:${fastcgiPort}; keepalive 1; }
  server {
    listen 127.0.0.1:PORT;
    fastcgi_param SCRIPT_NAME $fastcgi_script_name;
    fastcgi_param QUERY_STRING $query_string;
    fastcgi_param NONE "" if_not_empty;
    fastcgi_param EMPTY "";
    fastcgi_param HTTP_X_HELD "";
    fastcgi_param HTTP_X_MINE ours;
    location / { fastcgi_pass 127.0.0.1:${fastcgiPort}; fastcgi_index index.php; }
    location ~ \\.php(/|$) {
      fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
      fastcgi_param SCRIPT_NAME $fastcgi_script_name;
      fastcgi_param PATH_INFO $fastcgi_path_info;
      fastcgi_pass 127.0.0.1:${fastcgiPort};
    }
    location /kept/ { fastcgi_pass kept; fastcgi_keep_conn on; }
    location /caught/ { fastcgi_pass 127.0.0.1:${fastcgiPort}; fastcgi_catch_stderr "PHP Fatal"; }
    location /unbuffered/ { fastcgi_pass 127.0.0.1:${fastcgiPort}; fastcgi_request_buffering off; }
    location /cached/ {
      fastcgi_pass 127.0.0.1:${fastcgiPort}; fastcgi_cache one; fastcgi_cache_key $uri; fastcgi_cache_valid 1m;
      add_header X-Cache $upstream_cache_status;
    }
    location /inner { internal; return 200 "inside"; }
    location /scgi { scgi_pass 127.0.0.1:${scgiPort}; scgi_param SCGI 1; scgi_param REQUEST_URI $request_uri; }
    location /mem/ {
      set $memcached_key $uri$is_args$args; memcached_pass 127.0.0.1:${memcachedPort}; error_page 404 = @none;
    }
    location @none { return 203 "fallback"; }
  }`);

const lastAsked = (): ReadonlyMap<string, string> => seen.at(-1)?.params ?? new Map();
const post = (target: string, body: string, ...fields: string[]): Promise<string> =>
  site.request("POST", target, ...fields, `Content-Length: ${body.length}\r\n\r\n${body}`);

test("an application is told what the configuration says, and the client's fields", async () => {
  const response = await site.get("/a/b?c=d", "X-Held: 1", "X-Mine: client", "X-Two: 1", "X-Two: 2");
  expect(bodyOf(response)).toBe("hello");
  expect(fieldOf(response, "content-type")).toBe("text/plain");
  expect(lastAsked().get("SCRIPT_NAME")).toBe("/a/b");
  expect(lastAsked().get("QUERY_STRING")).toBe("c=d");
  expect(lastAsked().get("EMPTY")).toBe("");
  expect(lastAsked().get("HTTP_HOST")).toBe("localhost");
  expect(lastAsked().get("HTTP_X_MINE")).toBe("ours");
  expect(lastAsked().get("HTTP_X_TWO")).toBe("1, 2");
  for (const name of ["NONE", "HTTP_X_HELD"]) expect(lastAsked().has(name)).toBe(false);
});

test("fastcgi_index and fastcgi_split_path_info make the script's name", async () => {
  await site.get("/dir/");
  expect(lastAsked().get("SCRIPT_NAME")).toBe("/dir/index.php");
  await site.get("/x/y.php/info/z");
  expect(lastAsked().get("SCRIPT_NAME")).toBe("/x/y.php");
  expect(lastAsked().get("PATH_INFO")).toBe("/info/z");
});

test("a body goes along, read before or while it comes", async () => {
  const body = "0123456789".repeat(20_000);
  await post("/body", body);
  expect(seen.at(-1)?.body).toBe(body);
  await post("/unbuffered/body", body);
  expect(seen.at(-1)?.body).toBe(body);
  await site.request("POST", "/unbuffered/chunked", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0");
  expect(seen.at(-1)?.body).toBe("hello");
});

test("Status, Location and X-Accel-Redirect mean what they say", async () => {
  answers.status = [[6, "Status: 404 Nothing Here\r\n\r\n"]];
  expect(await site.get("/status")).toStartWith("HTTP/1.1 404 Nothing Here\r\n");
  expect(fieldOf(await site.get("/status"), "status")).toBeUndefined();
  answers.location = [[6, "Location: /elsewhere\r\n\r\n"]];
  const moved = await site.get("/location");
  expect(moved).toStartWith("HTTP/1.1 302 ");
  expect(fieldOf(moved, "location")).toEndWith("/elsewhere");
  answers.accel = [[6, "X-Accel-Redirect: /inner\r\n\r\n"]];
  expect(bodyOf(await site.get("/accel"))).toBe("inside");
});

test("what it says in its error stream is in the log; some of it is an error", async () => {
  answers.warns = [
    [7, "PHP Warning: one\n"],
    [6, "A: b\r\n\r\nbody"],
  ];
  expect(bodyOf(await site.get("/warns"))).toContain("body");
  await site.server.logged(/FastCGI sent in stderr: "PHP Warning: one" while reading response header from upstream/);
  answers.fatal = [
    [7, "PHP Fatal error"],
    [6, "A: b\r\n\r\nbody"],
  ];
  expect(await site.get("/caught/fatal")).toStartWith("HTTP/1.1 502 ");
  await site.server.logged(new RegExp(`upstream: "fastcgi://127.0.0.1:${fastcgiPort}"`));
});

test("no FastCGI is a bad gateway", async () => {
  answers.bad = [[9, ""]];
  expect(await site.get("/bad")).toStartWith("HTTP/1.1 502 ");
  await site.server.logged(/upstream sent invalid FastCGI record type: 9/);
});

test("fastcgi_keep_conn: one connection for all", async () => {
  const before = connections;
  for (let i = 0; i < 3; i++) expect(bodyOf(await site.get(`/kept/${i}`))).toBe("hello");
  expect(seen.at(-1)?.keeps).toBe(true);
  expect(connections).toBe(before + 1);
});

test("fastcgi_cache keeps responses, but none to HEAD", async () => {
  answers.page = [[6, "Content-Type: text/plain\r\n\r\nkept"]];
  expect(fieldOf(await site.request("HEAD", "/cached/page"), "x-cache")).toBe("MISS");
  expect(fieldOf(await site.get("/cached/page"), "x-cache")).toBe("MISS");
  const again = await site.get("/cached/page");
  expect(fieldOf(again, "x-cache")).toBe("HIT");
  expect(bodyOf(again)).toBe("kept");
});

test("SCGI: params, body, status", async () => {
  const response = await post("/scgi?a", "0123", "X-A: b");
  expect(response).toStartWith("HTTP/1.1 202 Taken\r\n");
  expect(scgiSeen.at(-1)).toMatch(
    /^\d+:CONTENT_LENGTH\x004\0SCGI\x001\0REQUEST_URI\0\/scgi\?a\0.*HTTP_X_A\0b\0,?.*0123$/s,
  );
});

test("memcached: a value is the response, of the path's type; there are ranges of it", async () => {
  values["/mem/a.html"] = "<b>value</b>";
  const response = await site.get("/mem/a.html");
  expect(bodyOf(response)).toBe("<b>value</b>");
  expect(fieldOf(response, "content-length")).toBe("12");
  const part = await site.get("/mem/a.html", "Range: bytes=3-7");
  expect(part).toStartWith("HTTP/1.1 206 ");
  expect(bodyOf(part)).toBe("value");
  expect(bodyOf(await site.request("HEAD", "/mem/a.html"))).toBe("");
});

test("memcached: no value is 404, which may lead elsewhere; keys are encoded", async () => {
  const response = await site.get("/mem/none%20here?x");
  expect(bodyOf(response)).toBe("fallback");
  expect(keys.at(-1)).toBe("/mem/none%20here?x");
  expect(await site.request("POST", "/mem/a.html", "Content-Length: 0")).toStartWith("HTTP/1.1 405 ");
});
