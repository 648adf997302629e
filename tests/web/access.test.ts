/** ngx_http_access_module, satisfy */
import { expect, test } from "bun:test";
import { faultOf, warningsOf } from "../support/configuration.ts";
import { testSite } from "../support/site.ts";
import { ask } from "../support/socket.ts";

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    listen unix:DIR/web.sock;
    location /open { }
    location /all { deny all; }
    location /first { allow 127.0.0.1; deny all; }
    location /network { deny 127.0.0.0/8; allow all; }
    location /others { deny 192.0.2.0/24; deny 2001:db8::/32; deny unix:; }
    location /unix { allow unix:; deny all; }
    location /inherit { deny all; location /inherit/own { allow 127.0.0.1; } location /inherit/outer { } }
    location /methods { limit_except GET { deny all; } }
    location /any {
      satisfy any;
      deny all;
      auth_basic "a realm";
      auth_basic_user_file DIR/html/passwords;
    }
    location /both {
      allow all;
      auth_basic "a realm";
      auth_basic_user_file DIR/html/passwords;
    }
    location /page { deny all; error_page 403 =200 /open; }
  }`,
  {
    passwords: "ann:{PLAIN}secret",
    ...Object.fromEntries(
      "open all first network others unix inherit/own inherit/outer methods any both"
        .split(" ")
        .map((name) => [name, "content"]),
    ),
  },
);

const statusOf = (response: string): number => Number(/^HTTP\/1.1 (\d+)/.exec(response)?.[1]);
const status = async (target: string, ...fields: string[]): Promise<number> =>
  statusOf(await site.get(target, ...fields));
const ann = `Authorization: Basic ${btoa("ann:secret")}`;

test.each([
  ["/open", 200],
  ["/all", 403],
  ["/first", 200],
  ["/network", 403],
  ["/others", 200],
  ["/unix", 403],
  ["/inherit/own", 200],
  ["/inherit/outer", 403],
  ["/page", 200],
] as const)("from 127.0.0.1: %s", async (target, expected) => {
  expect(await status(target)).toBe(expected);
});

test("clients on a Unix socket", async () => {
  const over = async (target: string) =>
    statusOf(await ask(site.server.path("web.sock"), `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`));
  expect(await over("/unix")).toBe(200);
  expect(await over("/first")).toBe(403);
  expect(await over("/others")).toBe(403);
});

test("methods that are not excepted", async () => {
  expect(await status("/methods")).toBe(200);
  expect(statusOf(await site.request("HEAD", "/methods"))).toBe(200);
  expect(statusOf(await site.request("DELETE", "/methods"))).toBe(403);
});

test("a refusal is logged, unless another module may still let the request in", async () => {
  await status("/all?logged");
  await site.server.logged(/\[error\].* access forbidden by rule, client: 127\.0\.0\.1, .*"GET \/all\?logged HTTP/);
  await status("/any?silent");
  await site.server.logged(/no user\/password was provided for basic authentication.*any\?silent/);
  expect(site.server.log).not.toMatch(/forbidden by rule.*any\?silent/);
});

test("satisfy: all must agree, or one is enough", async () => {
  expect(await status("/both")).toBe(401);
  expect(await status("/both", ann)).toBe(200);
  expect(await status("/any", ann)).toBe(200);
  expect(await status("/any")).toBe(401);
});

test.each([
  ["allow 1.2.3;", 'invalid parameter "1.2.3"'],
  ["deny 1.2.3.4/33;", 'invalid parameter "1.2.3.4/33"'],
  ["allow;", 'invalid number of arguments in "allow" directive'],
  ["allow ::1; deny all;", undefined],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});

test("bits outside of the network are worth a warning", () => {
  expect(warningsOf("deny 10.0.0.1/8;")).toEqual(["low address bits of 10.0.0.1/8 are meaningless"]);
});
