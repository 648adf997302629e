/** ngx_http_realip_module */
import { expect, test } from "bun:test";
import { faultOf, warningsOf } from "../support/configuration.ts";
import { bodyOf, testSite } from "../support/site.ts";
import { ask } from "../support/socket.ts";

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    set_real_ip_from 127.0.0.0/8;
    set_real_ip_from 192.0.2.0/24;
    location / { return 200 "$remote_addr $remote_port $realip_remote_addr"; }
  }
  server {
    listen 127.0.0.1:PORT;
    server_name forwarded;
    set_real_ip_from localhost;
    set_real_ip_from 192.0.2.0/24;
    real_ip_header X-Forwarded-For;
    location / { return 200 "$remote_addr $remote_port"; }
  }
  server {
    listen 127.0.0.1:PORT;
    server_name recursive;
    set_real_ip_from 127.0.0.1;
    set_real_ip_from 192.0.2.0/24;
    real_ip_header X-Forwarded-For;
    real_ip_recursive on;
    location / { return 200 "$remote_addr $remote_port"; }
  }
  server {
    listen 127.0.0.1:PORT;
    server_name locations;
    real_ip_header X-Client;
    location / { try_files /none @show; }
    location /trusting { set_real_ip_from 127.0.0.1; allow 198.51.100.0/24; deny all; try_files /none @show; }
    location @show { return 200 "$remote_addr $realip_remote_addr"; }
  }
  server {
    listen 127.0.0.1:PORT;
    server_name strangers;
    set_real_ip_from 192.0.2.1;
    location / { return 200 "$remote_addr"; }
  }
  server {
    listen unix:DIR/web.sock;
    set_real_ip_from unix:;
    location / { return 200 "$remote_addr $realip_remote_addr<$realip_remote_port>"; }
  }
  server {
    listen unix:DIR/proxy.sock proxy_protocol;
    set_real_ip_from unix:;
    real_ip_header proxy_protocol;
    location / { return 200 "$remote_addr $remote_port $proxy_protocol_server_port"; }
  }`,
);

const at = async (host: string, ...fields: string[]): Promise<string> =>
  bodyOf(
    await ask(
      site.server.port,
      [`GET / HTTP/1.1`, `Host: ${host}`, "Connection: close", ...fields, "", ""].join("\r\n"),
    ),
  );

test("a believed proxy's X-Real-IP is the client's address", async () => {
  expect(await at("a", "X-Real-IP: 198.51.100.7")).toBe("198.51.100.7  127.0.0.1");
  expect(await at("a", "X-Real-IP: 198.51.100.7:1234")).toBe("198.51.100.7 1234 127.0.0.1");
  expect(await at("a", "X-Real-IP: [2001:DB8:0::7]:1234")).toBe("2001:db8::7 1234 127.0.0.1");
});

test("what is no address, or was not sent, changes nothing", async () => {
  expect(await at("a", "X-Real-IP: somebody")).toMatch(/^127\.0\.0\.1 \d+ 127\.0\.0\.1$/);
  expect(await at("a")).toMatch(/^127\.0\.0\.1 \d+ 127\.0\.0\.1$/);
});

test("other proxies are not believed", async () => {
  expect(await at("strangers", "X-Real-IP: 198.51.100.7")).toBe("127.0.0.1");
});

test("of X-Forwarded-For the last address counts", async () => {
  expect(await at("forwarded", "X-Forwarded-For: 198.51.100.1, 192.0.2.5")).toBe("192.0.2.5 ");
  expect(await at("forwarded", "X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 198.51.100.2")).toBe("198.51.100.2 ");
});

test("recursively: the last one that is no believed proxy's", async () => {
  expect(await at("recursive", "X-Forwarded-For: 203.0.113.9, 198.51.100.1:80, 192.0.2.5")).toBe("198.51.100.1 80");
  expect(await at("recursive", "X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 192.0.2.5")).toBe("198.51.100.1 ");
  expect(await at("recursive", "X-Forwarded-For: 192.0.2.6,192.0.2.5")).toBe("192.0.2.6 ");
  expect(await at("recursive", "X-Forwarded-For: nobody, 192.0.2.5")).toBe("192.0.2.5 ");
});

test("locations may say whom they believe; their rules are for the client then", async () => {
  expect(await at("locations", "X-Client: 198.51.100.7")).toBe("127.0.0.1 127.0.0.1");
  const trusting = (address: string) =>
    ask(
      site.server.port,
      `GET /trusting HTTP/1.1\r\nHost: locations\r\nConnection: close\r\nx-client: ${address}\r\n\r\n`,
    );
  expect(bodyOf(await trusting("198.51.100.7"))).toBe("198.51.100.7 127.0.0.1");
  expect(await trusting("203.0.113.7")).toStartWith("HTTP/1.1 403 ");
  await site.server.logged(/access forbidden by rule, client: 203\.0\.113\.7, /);
});

test("each request of a connection for itself", async () => {
  const answers = await ask(
    site.server.port,
    "GET / HTTP/1.1\r\nHost: a\r\nX-Real-IP: 198.51.100.7\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  );
  expect(answers).toMatch(/198\.51\.100\.7 {2}127\.0\.0\.1HTTP[^$]*\r\n\r\n127\.0\.0\.1 \d+ 127\.0\.0\.1$/);
});

test("behind a Unix socket", async () => {
  const answer = await ask(
    site.server.path("web.sock"),
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Real-IP: 198.51.100.7\r\n\r\n",
  );
  expect(bodyOf(answer)).toBe("198.51.100.7 unix:<>");
});

test("the PROXY protocol's word", async () => {
  const answer = await ask(
    site.server.path("proxy.sock"),
    "PROXY TCP4 198.51.100.7 192.0.2.1 1234 80\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  );
  expect(bodyOf(answer)).toBe("198.51.100.7 1234 80");
});

test.each([
  ["set_real_ip_from nowhere.invalid;", 'host not found in set_real_ip_from "nowhere.invalid"'],
  ["real_ip_header A; real_ip_header B;", '"real_ip_header" directive is duplicate'],
  ["set_real_ip_from 2001:db8::/32;", undefined],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});

test("bits outside of the network are worth a warning", () => {
  expect(warningsOf("set_real_ip_from 10.0.0.1/8;")).toEqual(["low address bits of 10.0.0.1/8 are meaningless"]);
});
