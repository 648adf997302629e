/** ngx_http_proxy_module */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { freePort } from "../support/nginx_server.ts";
import { until } from "../support/server.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";
import { UpstreamServer } from "../support/upstream.ts";

const port = freePort();
const nobody = freePort();
const upstream = new UpstreamServer();
/** Heads, with what of the body came along, in the order in which they came. */
const seen: string[] = [];
/** What it answers, by the path's last part. "!" at the end: resets, ".": closes. */
const answers: Record<string, string> = {};
/** … and before that, one after the other. */
const first: Record<string, string[]> = {};

beforeAll(() => {
  upstream.serve = (socket) => {
    socket.on("data", (bytes) => {
      const text = bytes.toString("latin1");
      const [, path = ""] = /^\S+ \S*\/([^\s?/]*)\S* HTTP/.exec(text) ?? [];
      seen.push(text);
      const answer = first[path]?.shift() ?? answers[path] ?? "";
      const end = answer.at(-1);
      const said = end === "!" || end === "." ? answer.slice(0, -1) : answer;
      if (end === "!") socket.write(said, () => socket.resetAndDestroy());
      else if (end === ".") socket.end(said);
      else if (said !== "") socket.write(said);
    });
    socket.on("end", () => socket.end());
  };
  return upstream.listen(port);
});
afterAll(() => upstream.close());

const site = testSite(`
  log_format tries '$uri $status $upstream_addr $upstream_status $upstream_response_length $upstream_bytes_received';
  upstream kept { server 127.0.0.1:${port}; keepalive 4; }
  upstream two { server 127.0.0.1:${port} max_fails=0; server 127.0.0.1:${port} max_fails=0; }
  server {
    listen 127.0.0.1:PORT;
    access_log DIR/tries.log tries;
    proxy_read_timeout 500ms;
    location / { proxy_pass http://127.0.0.1:${port}; }
    location /mapped/ { proxy_pass http://127.0.0.1:${port}/to/; proxy_redirect default; }
    location /fields/ {
      proxy_pass http://127.0.0.1:${port}; proxy_set_header X-Set "$arg_x"; proxy_set_header X-None "";
      proxy_hide_header X-Secret; proxy_pass_header Server; proxy_method PUT; proxy_set_body "<$arg_x>";
      proxy_cookie_path / /new/; proxy_cookie_flags one secure httponly;
    }
    location /old/ { proxy_pass http://127.0.0.1:${port}; proxy_http_version 1.0; }
    location /kept/ { proxy_pass http://kept; proxy_set_header Connection ""; }
    location /two/ { proxy_pass http://two; proxy_next_upstream error timeout invalid_header http_503; }
    location /none/ { proxy_pass http://127.0.0.1:${nobody}; }
    location /ranges/ { proxy_pass http://127.0.0.1:${port}; proxy_force_ranges on; }
    location /store/ { proxy_pass http://127.0.0.1:${port}; proxy_store DIR/stored$uri; proxy_store_access user:rw group:r; }
    location /errors/ { proxy_pass http://127.0.0.1:${port}; proxy_intercept_errors on; error_page 404 401 /page; }
    location /page { return 200 "our page"; }
    location /inner/ { internal; return 200 "inside $uri"; }
    location /var/ { proxy_pass http://$arg_to/var/$arg_p; }
    location /raw/ { proxy_pass http://127.0.0.1:${port}; proxy_request_buffering off; proxy_buffering off; }
    location /trailers/ { proxy_pass http://127.0.0.1:${port}; proxy_pass_trailers on; }
    location /up/ {
      proxy_pass http://127.0.0.1:${port}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }
  }`);

const said = (path: string, text: string): void => {
  answers[path] = text;
};
const ok = (body: string, ...fields: string[]): string =>
  ["HTTP/1.1 200 OK", `Content-Length: ${body.length}`, ...fields, "", body].join("\r\n");
/** The requests that reached the upstream for a path. */
const asked = (path: string): string[] => seen.filter((text) => text.split("\r\n", 1)[0]?.includes(`/${path} `));
const statusOf = (response: string): number => Number(response.slice(9, 12));
const post = (target: string, body: string, ...fields: string[]): Promise<string> =>
  site.request("POST", target, ...fields, `Content-Length: ${body.length}\r\n\r\n${body}`);

test("a request is written anew, its path and query stay", async () => {
  said("plain", ok("hello", "X-A: 1", "Server: other", "X-Accel-Expires: 5"));
  const response = await site.get("/a%20b/plain?x=%41", "X-Mine: 2", "TE: gzip", "Keep-Alive: 3");
  const request = seen.at(-1) ?? "";
  expect(request).toStartWith(`GET /a%20b/plain?x=%41 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`);
  expect(request).toContain("\r\nX-Mine: 2\r\n");
  expect(request).not.toMatch(/^(TE|Keep-Alive|Connection):/im);
  expect(bodyOf(response)).toBe("hello");
  expect(fieldOf(response, "x-a")).toBe("1");
  expect(fieldOf(response, "x-accel-expires")).toBeUndefined();
  expect(fieldOf(response, "server")).toStartWith("alicorn");
});

test("where the URL has a path it takes the place of the location's, and redirects lead back", async () => {
  said("x", `HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${port}/to/y\r\nContent-Length: 0\r\n\r\n`);
  const response = await site.get("/mapped/x?q");
  expect(seen.at(-1)).toStartWith("GET /to/x?q HTTP/1.1\r\n");
  expect(fieldOf(response, "location")).toEndWith("/mapped/y");
});

test("fields, method and body as configured; cookies changed; fields held back", async () => {
  said("f", ok("", "Set-Cookie: one=1; Path=/", "X-Secret: 1", "Server: other"));
  const response = await site.get("/fields/f?x=7", "X-None: client");
  const [request = ""] = asked("fields/f?x=7");
  expect(request).toStartWith("PUT /fields/f?x=7 HTTP/1.1\r\n");
  expect(request).toContain("\r\nX-Set: 7\r\n");
  expect(request).not.toContain("X-None");
  expect(request).toEndWith("Content-Length: 3\r\n\r\n<7>");
  expect(fieldOf(response, "set-cookie")).toBe("one=1; Path=/new/; Secure; HttpOnly");
  expect(fieldOf(response, "x-secret")).toBeUndefined();
  expect(fieldOf(response, "server")).toBe("other");
});

test("HTTP/1.0 upstreams: the body ends with the connection", async () => {
  said("o", "HTTP/1.0 200 OK\r\n\r\nto the end.");
  expect(bodyOf(await site.get("/old/o"))).toContain("to the end");
  expect(seen.at(-1)).toStartWith("GET /old/o HTTP/1.0\r\n");
});

test.each([
  ["nobody listens", "/none/x", 502],
  ["closed before the head", "/closed", 502],
  ["reset before the head", "/reset", 502],
  ["reset inside the head", "/inside", 502],
  ["silence", "/silent", 504],
  ["no valid length", "/length", 502],
])("%s", async (_, target, status) => {
  Object.assign(answers, {
    closed: ".",
    reset: "!",
    inside: "HTTP/1.1 200 OK\r\nX: !",
    silent: "",
    length: "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
  });
  expect(statusOf(await site.get(target))).toBe(status);
});

test("what happened is in the error log, with the server that was asked", async () => {
  await site.get("/none/x");
  await site.server.logged(
    new RegExp(
      `connect\\(\\) failed \\(111: Connection refused\\) while connecting to upstream, client: 127.0.0.1, server: , request: "GET /none/x HTTP/1.1", upstream: "http://127.0.0.1:${nobody}/none/x"`,
    ),
  );
});

test("a response that breaks off does not look complete", async () => {
  said("short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf.");
  const response = await site.get("/short");
  expect(fieldOf(response, "content-length")).toBe("100");
  expect(bodyOf(response)).toBe("half");
  said("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n!");
  expect(await site.get("/chunked")).not.toContain("\r\n0\r\n");
});

test("bytes beyond the length are not passed on", async () => {
  said("long", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfourHTTP/1.1 200 OK\r\n");
  expect(bodyOf(await site.get("/kept/long"))).toBe("four");
  said("next", ok("next"));
  expect(bodyOf(await site.get("/kept/next"))).toBe("next");
});

test("the next server is asked, but not a second time for a POST", async () => {
  said("bad", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
  await site.get("/two/bad");
  expect(asked("two/bad")).toHaveLength(2);
  seen.length = 0;
  await post("/two/bad", "x");
  expect(asked("two/bad")).toHaveLength(1);
});

test("a kept connection that was just closed is no failure for who may be asked again", async () => {
  said("again", ok("second"));
  await site.get("/kept/again");
  // It finds the connection open, and its end instead of an answer.
  first.again = ["!"];
  seen.length = 0;
  expect(bodyOf(await site.get("/kept/again"))).toBe("second");
  expect(asked("kept/again")).toHaveLength(2);
  first.again = ["!"];
  expect(statusOf(await post("/kept/again", "x"))).toBe(502);
  expect(asked("kept/again")).toHaveLength(3);
});

test("connections are used again, and their number stays level", async () => {
  said("many", ok("m"));
  await site.get("/kept/many");
  const before = upstream.sockets.size;
  const fds = () => workersOf().map((pid) => readdirSync(`/proc/${pid}/fd`).length);
  const atFirst = Math.max(...fds());
  for (let i = 0; i < 1000; i++) await Promise.all(Array.from({ length: 10 }, () => site.get("/kept/many")));
  expect(upstream.sockets.size).toBeLessThanOrEqual(before + 8);
  await until(() => Math.max(...fds()) <= atFirst + 8, "as many descriptors as before");
}, 60_000);

const workersOf = (): number[] =>
  readFileSync(`/proc/${site.server.pid()}/task/${site.server.pid()}/children`, "utf8").trim().split(" ").map(Number);

test("ranges can be made of what does not offer them", async () => {
  said("r", ok("0123456789"));
  const response = await site.get("/ranges/r", "Range: bytes=2-4");
  expect(statusOf(response)).toBe(206);
  expect(bodyOf(response)).toBe("234");
});

test("responses become files", async () => {
  said("s", ok("stored", "Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT"));
  expect(bodyOf(await site.get("/store/s"))).toBe("stored");
  const path = `${site.server.directory.path}/stored/store/s`;
  await until(() => existsSync(path), "the file");
  expect(readFileSync(path, "utf8")).toBe("stored");
});

test("errors are intercepted; WWW-Authenticate still reaches the client", async () => {
  said("e404", "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\ntheir");
  expect(bodyOf(await site.get("/errors/e404"))).toBe("our page");
  said("e401", 'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n');
  const response = await site.get("/errors/e401");
  expect(statusOf(response)).toBe(401);
  expect(fieldOf(response, "www-authenticate")).toBe('Basic realm="x"');
});

test("X-Accel-Redirect leads inside", async () => {
  said("accel", ok("hidden", "X-Accel-Redirect: /inner/a%20b", "X-Accel-Limit-Rate: 0"));
  expect(bodyOf(await site.get("/accel"))).toBe("inside /inner/a b");
});

test("the URL may come from variables", async () => {
  said("v", ok("v"));
  expect(bodyOf(await site.get(`/var/?to=127.0.0.1:${port}&p=v`))).toBe("v");
  expect(statusOf(await site.get("/var/?to=no.such.name&p=v"))).toBe(502);
});

test("bodies: read first, or passed on as they come", async () => {
  said("b", ok("b"));
  await post("/b", "12345");
  expect(seen.at(-1)).toEndWith("Content-Length: 5\r\n\r\n12345");
  seen.length = 0;
  const socket = connect(site.server.port, "127.0.0.1");
  socket.write("POST /raw/half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
  await until(() => seen.join("").endsWith("12345"), "the first half");
  socket.write("67890");
  await until(() => seen.join("").endsWith("1234567890"), "the second half");
  socket.destroy();
});

test("trailers", async () => {
  said("t", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n1\r\na\r\n0\r\nX-T: end\r\n\r\n");
  expect(await site.get("/trailers/t")).toEndWith("0\r\nX-T: end\r\n\r\n");
});

test("what could be spoken instead is passed on, and said to be the connection's matter (RFC 9110 7.8)", async () => {
  answers.newer =
    "HTTP/1.1 426 Upgrade Required\r\nUpgrade: HTTP/3\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n";
  const text = await site.get("/newer");
  expect(fieldOf(text, "Upgrade")).toBe("HTTP/3");
  expect(text.match(/^Connection: .*$/gm)).toEqual(["Connection: upgrade", "Connection: close"]);
});

test("switched protocols become a tunnel", async () => {
  said("ws", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello");
  said("", "");
  const socket = connect(site.server.port, "127.0.0.1");
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
  });
  socket.write("GET /up/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
  await until(() => received.endsWith("hello"), "the tunnel");
  expect(received).toStartWith("HTTP/1.1 101 ");
  socket.write("from the client");
  await until(() => seen.at(-1) === "from the client", "the other direction");
  socket.destroy();
});

test("a client that leaves ends the upstream's work", async () => {
  said("gone", "");
  const before = upstream.sockets.size;
  const socket = connect(site.server.port, "127.0.0.1");
  socket.write("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
  await until(() => asked("gone").length > 0, "the request");
  socket.destroy();
  await until(() => upstream.sockets.size <= before, "the connection's end");
  const log = () => readFileSync(`${site.server.directory.path}/tries.log`, "utf8");
  await until(() => log().includes("/gone 499 "), "the line in the log");
});

test("the access log tells of all tries", async () => {
  said("log", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
  await site.get("/two/log");
  const to = `127.0.0.1:${port}`;
  const log = () => readFileSync(`${site.server.directory.path}/tries.log`, "utf8");
  await until(() => log().includes(`/two/log 503 ${to}, ${to} 503, 503 0, 0 38, 38`), "the line");
});
