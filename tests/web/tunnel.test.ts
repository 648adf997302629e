/** ngx_http_tunnel_module: CONNECT. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect as connectH2 } from "node:http2";
import type { Socket } from "node:net";
import { join } from "node:path";
import { freePort } from "../support/nginx_server.ts";
import { testSite } from "../support/site.ts";
import { Client } from "../support/socket.ts";
import { UpstreamServer } from "../support/upstream.ts";

const [port, closedPort] = [freePort(), freePort()];
const upstream = new UpstreamServer();
/** Says everything again, and ends when its client does. */
const echo = (socket: Socket): void => {
  socket.pipe(socket);
};
beforeAll(() => {
  upstream.serve = echo;
  return upstream.listen(port);
});
afterAll(() => upstream.close());

const site = testSite(
  `http2 on;
  upstream group { server 127.0.0.1:${closedPort}; server 127.0.0.1:${port} backup; }
  server {
    listen 127.0.0.1:PORT;
    server_name here;
    tunnel_pass;
    location /page { return 200 "page"; }
  }
  server { listen 127.0.0.1:PORT; server_name group.example; tunnel_pass group; }
  server { listen 127.0.0.1:PORT; server_name none.example; location / { proxy_pass http://127.0.0.1:${port}; } }
  server {
    listen 127.0.0.1:PORT; server_name idle.example;
    location / { tunnel_read_timeout 1s; if ($request_method = CONNECT) { tunnel_pass 127.0.0.1:${port}; } }
  }
  server {
    listen 127.0.0.1:PORT; server_name secret.example;
    auth_basic "who"; auth_basic_user_file DIR/html/users; tunnel_pass 127.0.0.1:${port};
  }`,
  { users: "me:{PLAIN}word\n" },
);

/** Asks for a tunnel. `more`: of the head, and what comes together with it. */
async function tunnelTo(authority: string, more = "\r\n"): Promise<Client> {
  const client = await Client.open(site.server.port);
  client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${more}`);
  return client;
}

test("a tunnel to where the client wants: 200 at once, then bytes both ways, each half closed by itself", async () => {
  using client = await tunnelTo(`127.0.0.1:${port}`);
  await client.read(/\r\n\r\n$/);
  expect(client.received).toStartWith("HTTP/1.1 200 ");
  // RFC 9110 9.3.6
  expect(client.received).not.toMatch(/content-length|transfer-encoding|connection: close/i);
  client.received = "";
  client.send("hello\0\xff");
  await client.read(/^hello\0\xff$/);
  client.received = "";
  client.send("x".repeat(1_000_000));
  client.socket.end();
  expect(await client.end()).toBe("x".repeat(1_000_000));
});

test("what comes together with the request goes through, too", async () => {
  using client = await tunnelTo(`127.0.0.1:${port}`, "\r\nearly");
  await client.read(/\r\n\r\nearly$/);
});

test("a group: the next server where one is not there", async () => {
  using client = await tunnelTo("group.example:1", "\r\nx");
  await client.read(/\r\n\r\nx$/);
});

test("nobody there is 502, and the connection goes on as HTTP", async () => {
  using client = await tunnelTo(`127.0.0.1:${closedPort}`);
  await client.read(/^HTTP\/1.1 502 .*<\/html>\n$/s);
  client.send("GET /page HTTP/1.1\r\nHost: here\r\n\r\n");
  await client.read(/page$/);
});

test("405: other methods, and servers that are no tunnel", async () => {
  expect(await site.get("/")).toStartWith("HTTP/1.1 405 ");
  expect(await site.get("/page")).toStartWith("HTTP/1.1 200 ");
  using client = await tunnelTo("none.example:80");
  await client.read(/^HTTP\/1.1 405 /);
});

test("405 for CONNECT of HTTP/2", async () => {
  const session = connectH2(`http://127.0.0.1:${site.server.port}`);
  const stream = session.request({ ":method": "CONNECT", ":authority": `127.0.0.1:${port}` });
  const status = await new Promise((resolve) => stream.on("response", (headers) => resolve(headers[":status"])));
  session.destroy();
  expect(status).toBe(405);
});

const targets = [
  "127.0.0.1",
  "127.0.0.1:",
  "127.0.0.1:65536",
  "http://127.0.0.1:80",
  "user@127.0.0.1:80",
  "127.0.0.1:80/",
];
for (const target of targets)
  test(`a target that is no host and port is 400: ${target}`, async () => {
    using client = await tunnelTo(target);
    await client.read(/^HTTP\/1.1 400 /);
  });

test("407 without credentials, a tunnel with them", async () => {
  using refused = await tunnelTo("secret.example:80");
  await refused.read(/^HTTP\/1.1 407 .*\r\nProxy-Authenticate: Basic realm="who"\r\n/s);
  const credentials = Buffer.from("me:word").toString("base64");
  using client = await tunnelTo("secret.example:80", `Proxy-Authorization: Basic ${credentials}\r\n\r\nin`);
  await client.read(/^HTTP\/1.1 200 .*\r\n\r\nin$/s);
});

test("a tunnel through which nothing comes is closed", async () => {
  using client = await tunnelTo("idle.example:80");
  await client.read(/\r\n\r\n$/);
  await client.end();
  const log = await Bun.file(join(site.server.directory.path, "error.log")).text();
  expect(log).toContain("upstream timed out (110: Connection timed out) while proxying upgraded connection");
});
