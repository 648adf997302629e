/** Variables of ngx_http_core_module, as a configuration sees them. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { faultOf } from "../support/configuration.ts";
import { until } from "../support/server.ts";
import { bodyOf, testSite } from "../support/site.ts";
import { ask } from "../support/socket.ts";

const names = [
  ...["args", "query_string", "is_args", "uri", "document_uri", "request_uri", "request", "request_method"],
  ...["request_length", "request_time", "request_id", "host", "hostname", "server_name", "server_addr", "server_port"],
  ...["server_protocol", "scheme", "https", "remote_addr", "remote_port", "remote_user", "connection", "pipe", "pid"],
  ...["connection_requests", "connection_time", "nginx_version", "msec", "time_iso8601", "time_local", "status"],
  ...["document_root", "request_filename", "limit_rate", "content_length", "content_type", "tcpinfo_rtt"],
  ...["arg_a", "http_x_list", "http_cookie", "cookie_one", "request_port", "is_request_port", "proxy_protocol_addr"],
];

const site = testSite(`
  log_format sent "$sent_http_x_sent $sent_http_content_type $sent_http_connection $sent_http_none $request_completion";
  server {
    listen 127.0.0.1:PORT;
    server_name first second;
    location / { return 200 '${names.map((name) => `${name}=<$${name}>`).join("\\n")}'; }
    location /id { return 200 "$request_id $request_id"; }
    location /set { set $args "b=2"; return 200 "$args $arg_b"; }
    location = /sent { add_header X-Sent yes; access_log DIR/sent.log sent; return 200 x; }
  }
`);

async function valuesOf(target: string, ...fields: string[]): Promise<Readonly<Record<string, string | undefined>>> {
  const body = bodyOf(await site.get(target, ...fields));
  return Object.fromEntries([...body.matchAll(/^(\w+)=<(.*)>$/gm)].map(([, name, value]) => [name, value]));
}

test("of the request line", async () => {
  expect(await valuesOf("/a%20b//c?x=1&a=%41&a=2")).toMatchObject({
    args: "x=1&a=%41&a=2",
    query_string: "x=1&a=%41&a=2",
    is_args: "?",
    uri: "/a b/c",
    document_uri: "/a b/c",
    request_uri: "/a%20b//c?x=1&a=%41&a=2",
    request: "GET /a%20b//c?x=1&a=%41&a=2 HTTP/1.1",
    request_method: "GET",
    server_protocol: "HTTP/1.1",
    arg_a: "%41",
    request_filename: `${site.server.directory.path}/html/a b/c`,
  });
  expect(await valuesOf("/?a")).toMatchObject({ is_args: "?", arg_a: "" });
  expect(await valuesOf("/")).toMatchObject({ args: "", is_args: "" });
});

test("of the fields", async () => {
  const seen = await valuesOf(
    "/",
    "X-List: 1",
    "X-List: 2",
    "Cookie: one=1; two=2",
    "Cookie: three=3",
    "Content-Type: text/plain",
    "Content-Length: 0",
    "Authorization: Basic YW5uOnNlY3JldA==",
  );
  expect(seen).toMatchObject({
    http_x_list: "1, 2",
    http_cookie: "one=1; two=2; three=3",
    cookie_one: "1",
    content_type: "text/plain",
    content_length: "0",
    remote_user: "ann",
    host: "localhost",
  });
});

test("of the connection, the server and the process", async () => {
  const seen = await valuesOf("/");
  const { port } = site.server;
  expect(seen).toMatchObject({
    hostname: hostname().toLowerCase(),
    server_name: "first",
    server_addr: "127.0.0.1",
    server_port: String(port),
    scheme: "http",
    https: "",
    remote_addr: "127.0.0.1",
    connection_requests: "1",
    pipe: ".",
    proxy_protocol_addr: "",
    limit_rate: "0",
    request_port: "",
    is_request_port: "",
    document_root: `${site.server.directory.path}/html`,
  });
  for (const name of ["remote_port", "connection", "pid", "tcpinfo_rtt", "request_length"])
    expect(seen[name]).toMatch(/^\d+$/);
  for (const name of ["request_time", "connection_time", "msec"]) expect(seen[name]).toMatch(/^\d+\.\d{3}$/);
  expect(seen.nginx_version).toMatch(/^1\.\d+\.\d+$/);
});

test("the port that the request names", async () => {
  const answer = await ask(site.server.port, "GET / HTTP/1.1\r\nHost: Example.com:81\r\nConnection: close\r\n\r\n");
  expect(answer).toContain("host=<example.com>");
  expect(answer).toContain("request_port=<81>");
  expect(answer).toContain("is_request_port=<:>");
});

test("times", async () => {
  const { time_iso8601 = "", time_local } = await valuesOf("/");
  expect(Math.abs(Date.parse(time_iso8601) - Date.now())).toBeLessThan(60_000);
  expect(time_local).toMatch(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$/);
});

test("a request's id is one, and another request's another", async () => {
  const [first, second] = [bodyOf(await site.get("/id")), bodyOf(await site.get("/id"))];
  expect(first).toMatch(/^([0-9a-f]{32}) \1$/);
  expect(second).toMatch(/^([0-9a-f]{32}) \1$/);
  expect(second).not.toBe(first);
});

test("of the response", async () => {
  await site.get("/sent");
  const path = site.server.path("sent.log");
  await until(() => existsSync(path) && readFileSync(path).length > 0, "the line");
  expect(readFileSync(path, "latin1")).toBe("yes text/plain close - OK\n");
});

test("$args can be set", async () => {
  expect(bodyOf(await site.get("/set?a=1"))).toBe("b=2 2");
});

test.each([
  ["log_format a $nobody;", 'unknown "nobody" variable'],
  ['log_format a "${uri";', 'the closing bracket in "uri" variable is missing'],
  ["log_format a $arg_;", undefined],
  ["server { set $pid 1; }", 'the duplicate "pid" variable'],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
