/** ngx_http_auth_basic_module, auth_delay */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";
import { Client } from "../support/socket.ts";

const site = testSite(
  `
  auth_basic_user_file html/passwords;
  server {
    listen 127.0.0.1:PORT;
    location / { auth_basic "closed site"; location /free { auth_basic off; } }
    location /named { auth_basic "of $arg_name"; try_files /content =404; }
    location /switch { auth_basic $arg_realm; try_files /content =404; }
    location /file { auth_basic x; auth_basic_user_file html/$arg_file; try_files /content =404; }
    location /user { auth_basic x; auth_basic_user_file DIR/html/passwords; try_files /none @user; }
    location @user { return 200 "<$remote_user>"; }
    location /slow { auth_basic x; auth_delay 30ms; }
    location /slower { auth_basic x; auth_delay 60s; }
  }`,
  {
    passwords:
      "# a comment\n\nann:{PLAIN}secret:a comment\nann:{PLAIN}second\nbob:$apr1$salt$Xxd1irWT9ycqoYxGFn4cb.\r\nempty:\nlast:{PLAIN}line",
    content: "content",
    free: "free",
  },
);

const as = (user: string): string => `Authorization: Basic ${Buffer.from(user, "latin1").toString("base64")}`;
const status = async (target: string, ...fields: string[]): Promise<number> =>
  Number(/^HTTP\/1.1 (\d+)/.exec(await site.get(target, ...fields))?.[1]);

test.each([
  ["ann:secret", 200],
  ["ann:second", 401],
  ["ann:", 401],
  ["bob:password", 200],
  ["bob:passwort", 401],
  ["empty:", 401],
  ["last:line", 200],
  ["nobody:secret", 401],
  ["# a comment:", 401],
  ["annsecret", 401],
  [":secret", 401],
] as const)("%s: %i", async (user, expected) => {
  expect(await status("/content", as(user))).toBe(expected);
});

test("other schemes, and what is no base64, is nobody", async () => {
  expect(await status("/content", "Authorization: Bearer YW5uOnNlY3JldA==")).toBe(401);
  expect(await status("/content", "Authorization: Basic YW5uOn?NlY3JldA==")).toBe(401);
  expect(await status("/content", "Authorization: basic  YW5uOnNlY3JldA")).toBe(200);
});

test("who is asked learns what for", async () => {
  expect(fieldOf(await site.get("/content"), "WWW-Authenticate")).toBe('Basic realm="closed site"');
  expect(fieldOf(await site.get("/named?name=x"), "WWW-Authenticate")).toBe('Basic realm="of x"');
});

test("off, also as the value of a variable", async () => {
  expect(await status("/free")).toBe(200);
  expect(await status("/switch?realm=off")).toBe(200);
  expect(await status("/switch?realm=on")).toBe(401);
});

test("the file's name may have variables, and begins beside the configuration file", async () => {
  site.write("other", "carl:{PLAIN}x\n");
  expect(await status("/file?file=other", as("carl:x"))).toBe(200);
  expect(await status("/file?file=none", as("carl:x"))).toBe(403);
  await site.server.logged(/\[error\].*open\(\) ".*\/html\/none" failed \(2: No such file or directory\)/);
});

test("a changed file counts at once", async () => {
  for (let i = 0; i < 5; i++) {
    site.write("changing", `dan:{PLAIN}${i}\n`);
    expect(await status("/file?file=changing", as(`dan:${i}`))).toBe(200);
  }
});

test("what went wrong is in the log, as Nginx says it", async () => {
  await status("/content", as("ann:wrong"));
  await site.server.logged(/\[error\].*user "ann": password mismatch, client/);
  await status("/content", as("zoe:x"));
  await site.server.logged(/\[error\].*user "zoe" was not found in "\/.*\/html\/passwords", client/);
  await status("/content");
  await site.server.logged(/\[info\].*no user\/password was provided for basic authentication/);
});

test("$remote_user", async () => {
  expect(bodyOf(await site.get("/user", as("ann:secret")))).toBe("<ann>");
});

test("a refusal may be held back; a client that leaves meanwhile is not waited for", async () => {
  expect(await status("/slow")).toBe(401);
  await site.server.logged(/\[info\].*delaying unauthorized request.*GET \/slow /);
  using client = await Client.open(site.server.port);
  client.send("GET /slower HTTP/1.1\r\nHost: a\r\n\r\n");
  await site.server.logged(/delaying unauthorized request.*GET \/slower /);
  client.socket.end();
  expect(await client.end()).toBe("");
});

test.each([
  ["auth_basic a; auth_basic b;", '"auth_basic" directive is duplicate'],
  ["auth_basic_user_file a; auth_basic_user_file b;", '"auth_basic_user_file" directive is duplicate'],
  ["auth_basic $nobody;", 'unknown "nobody" variable'],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
