/** ngx_http_auth_request_module */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    location /off { auth_request off; }
    location = /no-content { return 204; }
    location = /file { return 200 INVISIBLE; }
    location = /challenge { proxy_pass http://127.0.0.1:PORT/challenges; }
    location = /challenges { add_header WWW-Authenticate one always; add_header WWW-Authenticate two always; return 401; }
    location = /refuse { return 403; }
    location = /broken { return 404; }
    location = /moved { return 302 /elsewhere; }
    location /is/no-content { auth_request /no-content; try_files /content =404; }
    location /is/file { auth_request /file; try_files /content =404; }
    location /is/challenge { auth_request /challenge; }
    location /is/refuse { auth_request /refuse; }
    location /is/broken { auth_request /broken; }
    location /is/moved { auth_request /moved; }
    location /set {
      auth_request /fact;
      auth_request_set $fact "$uri $from";
      add_header X-Fact $fact;
      try_files /content =404;
    }
    location = /fact { set $from there; return 204; }
    location /unset { return 200 "<$fact>"; }
    location /any { satisfy any; auth_request /refuse; allow all; try_files /content =404; }
    location /any-broken { satisfy any; auth_request /broken; auth_basic x; auth_basic_user_file html/passwords; }
    location /any-asks { satisfy any; auth_request /challenge; auth_basic x; auth_basic_user_file html/passwords; }
  }`,
  { content: "content", off: "off", passwords: "" },
);

const status = async (target: string): Promise<number> => Number(/^HTTP\/1.1 (\d+)/.exec(await site.get(target))?.[1]);

test.each([
  ["/off", 200],
  ["/is/no-content", 200],
  ["/is/file", 200],
  ["/is/challenge", 401],
  ["/is/refuse", 403],
  ["/is/broken", 500],
  ["/is/moved", 500],
  ["/any", 200],
  ["/any-broken", 500],
] as const)("%s: %i", async (target, expected) => {
  expect(await status(target)).toBe(expected);
});

test("of the answer nothing but its status is seen", async () => {
  expect(bodyOf(await site.get("/is/file"))).toBe("content");
});

test("with 401 all challenges are passed on", async () => {
  expect((await site.get("/is/challenge")).match(/^WWW-Authenticate: .*\S/gm)).toEqual([
    "WWW-Authenticate: one",
    "WWW-Authenticate: two",
  ]);
  expect((await site.get("/any-asks")).match(/^WWW-Authenticate: .*\S/gm)?.sort()).toEqual([
    'WWW-Authenticate: Basic realm="x"',
    "WWW-Authenticate: one",
    "WWW-Authenticate: two",
  ]);
});

test("an answer that is neither yes nor no is logged", async () => {
  await status("/is/broken?unexpected");
  await site.server.logged(
    /\[error\].*auth request unexpected status: 404 while sending to client, .*broken\?unexpected/,
  );
});

test("variables are set from the answer", async () => {
  expect(fieldOf(await site.get("/set"), "X-Fact")).toBe("/fact there");
  expect(bodyOf(await site.get("/unset"))).toBe("<>");
});

test.each([
  ["auth_request /a; auth_request /b;", '"auth_request" directive is duplicate'],
  ["auth_request_set x y;", 'invalid variable name "x"'],
  ["auth_request_set $uri y;", 'the duplicate "uri" variable'],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
