/** ngx_http_limit_req_module */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { NginxServer } from "../support/nginx_server.ts";
import { until } from "../support/server.ts";
import { fieldOf, testSite } from "../support/site.ts";
import { ask, Client } from "../support/socket.ts";

const site = testSite(
  `
  limit_req_zone $arg_key zone=minute:1m rate=1r/m;
  limit_req_zone $arg_key zone=second:1m rate=20r/s;
  limit_req_zone $arg_other zone=other:1m rate=1r/m;
  limit_req_zone $arg_key$uri zone=small:32k rate=1r/m;
  add_header X-Limit "<$limit_req_status>" always;
  root DIR/html;
  server {
    listen 127.0.0.1:PORT;
    location /refuses { limit_req zone=minute; try_files /content =404; }
    location /burst { limit_req zone=minute burst=2 nodelay; limit_req_status 429; limit_req_log_level info; try_files /content =404; }
    location /delays { limit_req zone=second burst=5; try_files /content =404; }
    location /some { limit_req zone=second burst=3 delay=2; limit_req_dry_run on; try_files /content =404; }
    location /several { limit_req zone=minute; limit_req zone=other burst=1 nodelay; try_files /content =404; }
    location /dry { limit_req zone=minute; limit_req_dry_run on; try_files /content =404; }
    location /forever { limit_req zone=minute burst=5; try_files /content =404; }
    location /small { limit_req zone=small; try_files /content =404; }
  }`,
  { content: "content" },
);

let keys = 0;
/** A key that nobody else has asked with. */
const newKey = (): string => `k${++keys}`;
/** Status and $limit_req_status. */
async function outcome(target: string): Promise<string> {
  const response = await site.get(target);
  return `${/^HTTP\/1.1 (\d+)/.exec(response)?.[1]} ${fieldOf(response, "X-Limit")}`;
}
const outcomes = async (target: string, count: number): Promise<string[]> => {
  const all: string[] = [];
  for (let i = 0; i < count; i++) all.push(await outcome(target));
  return all;
};

test("above the rate requests are refused, and that is logged", async () => {
  const key = newKey();
  expect(await outcomes(`/refuses?key=${key}`, 2)).toEqual(["200 <PASSED>", "503 <REJECTED>"]);
  await site.server.logged(/\[error\].*limiting requests, excess: (1\.000|0\.99\d) by zone "minute", client/);
  expect(await outcome(`/refuses?key=${newKey()}`)).toBe("200 <PASSED>");
});

test("an empty key is not limited", async () => {
  expect(await outcomes("/refuses", 3)).toEqual(["200 <>", "200 <>", "200 <>"]);
});

test("a burst passes; status and level of the log are the configuration's", async () => {
  const passed = "200 <PASSED>";
  expect(await outcomes(`/burst?key=${newKey()}`, 4)).toEqual([passed, passed, passed, "429 <REJECTED>"]);
  await site.server.logged(/\[info\].*limiting requests, excess: (3\.000|2\.99\d) by zone "minute"/);
});

test("requests above the rate wait for their time", async () => {
  const key = newKey();
  const began = performance.now();
  const all = await Promise.all([1, 2, 3].map(() => outcome(`/delays?key=${key}`)));
  expect(all.sort()).toEqual(["200 <DELAYED>", "200 <DELAYED>", "200 <PASSED>"]);
  // Two requests at 20 per second.
  expect(performance.now() - began).toBeGreaterThanOrEqual(90);
  await site.server.logged(/\[warn\].*delaying request, excess: \d\.\d{3}, by zone "second", client/);
});

test("with delay= only those beyond it wait; a dry run only says so", async () => {
  const key = newKey();
  const all = await Promise.all([1, 2, 3, 4, 5].map(() => outcome(`/some?key=${key}`)));
  expect(all.sort()).toEqual([
    "200 <DELAYED_DRY_RUN>",
    "200 <PASSED>",
    "200 <PASSED>",
    "200 <PASSED>",
    "200 <REJECTED_DRY_RUN>",
  ]);
  expect(await outcomes(`/dry?key=${key}`, 2)).toEqual(["200 <PASSED>", "200 <REJECTED_DRY_RUN>"]);
  await site.server.logged(/delaying request, dry run, excess/);
  await site.server.logged(/limiting requests, dry run, excess/);
});

test("of several limits each may refuse; a refused request counts for none", async () => {
  const [key, other] = [newKey(), newKey()];
  expect(await outcome(`/several?key=${key}&other=${other}`)).toBe("200 <PASSED>");
  expect(await outcome(`/several?key=${key}&other=${other}`)).toBe("503 <REJECTED>");
  expect(await outcome(`/several?key=${newKey()}&other=${other}`)).toBe("200 <PASSED>");
  expect(await outcome(`/several?key=${newKey()}&other=${other}`)).toBe("503 <REJECTED>");
  expect(await outcome(`/several?other=${newKey()}`)).toBe("200 <PASSED>");
});

test("a client that leaves is not waited for", async () => {
  const key = newKey();
  await outcome(`/forever?key=${key}`);
  using client = await Client.open(site.server.port);
  client.send(`GET /forever?key=${key} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await site.server.logged(new RegExp(`delaying request.*key=${key} `));
  client.socket.end();
  expect(await client.end()).toBe("");
});

test("in a full zone the oldest keys make room; one that is too long for it has none", async () => {
  using client = await Client.open(site.server.port);
  for (let i = 0; i < 600; i++) {
    client.received = "";
    client.send(`GET /small?key=${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.read(/content$/);
  }
  expect(await outcome("/small?key=0")).toBe("200 <PASSED>");
  expect(await outcome("/small?key=599")).toBe("503 <REJECTED>");
});

test("all web workers count together", async () => {
  await using server = await NginxServer.start(
    (port) => `
      daemon off; user root; pid nginx.pid; error_log error.log; worker_processes 2; events { }
      http {
        access_log off;
        limit_req_zone $server_name zone=all:1m rate=1r/m;
        add_header X-Worker $pid always;
        server {
          listen 127.0.0.1:${port} reuseport;
          server_name all;
          location / { limit_req zone=all burst=19 nodelay; }
          location /free { return 204; }
        }
      }`,
  );
  const ask40 = (target: string): Promise<string[]> =>
    Promise.all(
      Array.from({ length: 40 }, () =>
        ask(server.port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`),
      ),
    );
  const workers = (responses: readonly string[]): number =>
    new Set(responses.map((each) => fieldOf(each, "X-Worker"))).size;
  await until(async () => workers(await ask40("/free")) === 2, "both web workers answer");
  const responses = await ask40("/");
  expect(workers(responses)).toBe(2);
  expect(responses.filter((each) => each.startsWith("HTTP/1.1 503 ")).length).toBe(20);
});

test.each([
  ["limit_req_zone $uri zone=a:1m;", 'invalid number of arguments in "limit_req_zone" directive'],
  ["limit_req_zone $uri zone=a rate=1r/s;", 'invalid zone size "zone=a"'],
  ["limit_req_zone $uri zone=a:x rate=1r/s;", 'invalid zone size "zone=a:x"'],
  ["limit_req_zone $uri zone=a:8k rate=1r/s;", 'zone "zone=a:8k" is too small'],
  ["limit_req_zone $uri zone=a:1m rate=0r/s;", 'invalid rate "rate=0r/s"'],
  ["limit_req_zone $uri zone=a:1m rate=1r/h;", 'invalid rate "rate=1r/h"'],
  ["limit_req_zone $uri sync rate=1r/s;", '"limit_req_zone" must have "zone" parameter'],
  [
    "limit_req_zone $uri zone=a:1m rate=1r/s; limit_req_zone $host zone=a:1m rate=1r/s;",
    'limit_req_zone "a" is already bound to key "$uri"',
  ],
  ["limit_req zone=none;", 'zero size shared memory zone "none"'],
  ["limit_req burst=1;", '"limit_req" must have "zone" parameter'],
  ["limit_req zone=a burst=0;", 'invalid burst value "burst=0"'],
  ["limit_req zone=a delay=x;", 'invalid delay value "delay=x"'],
  ["limit_req zone=a never;", 'invalid parameter "never"'],
  ["limit_req zone=a; limit_req zone=a;", '"limit_req" directive is duplicate'],
  ["limit_req_status 200;", "value must be between 400 and 599"],
  ["limit_req_log_level debug;", 'invalid value "debug"'],
  ["limit_req zone=a; limit_req_zone $uri zone=a:1m rate=1r/s;", undefined],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
