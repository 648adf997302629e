/** ngx_http_limit_conn_module */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { NginxServer } from "../support/nginx_server.ts";
import { until } from "../support/server.ts";
import { fieldOf, testSite } from "../support/site.ts";
import { ask, Client } from "../support/socket.ts";

const site = testSite(
  `
  limit_conn_zone $arg_key zone=one:1m;
  limit_conn_zone $arg_other zone=other:1m;
  add_header X-Limit "<$limit_conn_status>" always;
  root DIR/html;
  server {
    listen 127.0.0.1:PORT;
    location / { limit_conn one 1; }
    location /slow { limit_conn one 1; limit_conn other 2; limit_rate 200; try_files /long =404; }
    location /status { limit_conn one 1; limit_conn_status 429; limit_conn_log_level info; }
    location /dry { limit_conn one 1; limit_conn_dry_run on; try_files /content =404; }
    location /two { limit_conn one 2; try_files /content =404; }
    location /both { limit_conn one 1; limit_conn other 1; try_files /content =404; }
  }`,
  { content: "content", long: "long".repeat(1000) },
);

/** A request in progress. */
async function begin(port: number, target: string): Promise<Client> {
  const client = await Client.open(port);
  client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await client.read(/long/);
  return client;
}

/** Status and $limit_conn_status. */
async function outcome(target: string): Promise<string> {
  const response = await site.get(target);
  return `${/^HTTP\/1.1 (\d+)/.exec(response)?.[1]} ${fieldOf(response, "X-Limit")}`;
}
const becomes = (target: string, wanted: string) =>
  until(async () => (await outcome(target)) === wanted, `${target} gives ${wanted}`);

test("while a request is in progress there is no room for another one of its key", async () => {
  const slow = await begin(site.server.port, "/slow?key=a");
  expect(await outcome("/content?key=a")).toBe("503 <REJECTED>");
  await site.server.logged(/\[error\].*limiting connections by zone "one", client/);
  expect(await outcome("/content?key=b")).toBe("200 <PASSED>");
  expect(await outcome("/content")).toBe("200 <>");
  expect(await outcome("/two?key=a")).toBe("200 <PASSED>");
  slow[Symbol.dispose]();
  await becomes("/content?key=a", "200 <PASSED>");
});

test("what has ended well counts no more", async () => {
  for (let i = 0; i < 3; i++) expect(await outcome("/content?key=again")).toBe("200 <PASSED>");
});

test("status, level of the log, dry runs", async () => {
  using _ = await begin(site.server.port, "/slow?key=c");
  expect(await outcome("/status?key=c")).toBe("429 <REJECTED>");
  await site.server.logged(/\[info\].*limiting connections by zone "one"/);
  expect(await outcome("/dry?key=c")).toBe("200 <REJECTED_DRY_RUN>");
  await site.server.logged(/limiting connections, dry run, by zone "one"/);
});

test("a request that one limit refuses takes no place of another", async () => {
  using _ = await begin(site.server.port, "/slow?other=d");
  expect(await outcome("/both?key=e&other=d")).toBe("503 <REJECTED>");
  expect(await outcome("/content?key=e")).toBe("200 <PASSED>");
});

test("keys of more than 255 bytes are not limited", async () => {
  expect(await outcome(`/content?key=${"x".repeat(256)}`)).toBe("200 <>");
  await site.server.logged(/the value of the "\$arg_key" key is more than 255 bytes/);
});

const shared = (port: number, workers: number): string => `
  daemon off; user root; pid nginx.pid; error_log error.log notice; worker_processes ${workers}; events { }
  http {
    access_log off;
    limit_conn_zone $server_name zone=all:1m;
    add_header X-Worker $pid always;
    server {
      listen 127.0.0.1:${port} reuseport;
      server_name all;
      location / { limit_conn all 2; limit_rate 200; root .; try_files /html/long =404; }
    }
  }`;

/** As soon as there is somebody who answers. */
const asked = async (port: number): Promise<string> =>
  ask(port, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

async function fill(server: NginxServer): Promise<{ readonly clients: Client[]; readonly pids: Set<number> }> {
  const clients: Client[] = [];
  const pids = new Set<number>();
  for (;;) {
    const client = await Client.open(server.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = (await client.read(/\r\n\r\n/)).input;
    pids.add(Number(fieldOf(response, "X-Worker")));
    clients.push(client);
    if (response.startsWith("HTTP/1.1 503")) return { clients, pids };
  }
}

test("all web workers count together; what a killed one was doing counts no more", async () => {
  await using server = await NginxServer.start((port) => shared(port, 2));
  await Bun.write(server.path("html/long"), "long".repeat(1000));
  const { clients, pids } = await fill(server);
  expect(clients.length).toBe(3);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  for (const client of clients) client[Symbol.dispose]();
  await until(async () => (await asked(server.port).catch(() => "")).startsWith("HTTP/1.1 200"), "a place is free");
  // Not more places than before.
  expect((await fill(server)).clients.length).toBe(3);
});

test.each([
  ["limit_conn_zone $uri size=1;", 'invalid parameter "size=1"'],
  ["limit_conn_zone $uri zone=a:4k;", 'zone "zone=a:4k" is too small'],
  [
    "limit_conn_zone $uri zone=a:1m; limit_conn_zone $host zone=a:1m;",
    'limit_conn_zone "a" is already bound to key "$uri"',
  ],
  [
    "limit_conn_zone $uri zone=a:1m; limit_req_zone $uri zone=a:1m rate=1r/s;",
    'the shared memory zone "a" is already declared for a different use',
  ],
  ["limit_conn none 1;", 'zero size shared memory zone "none"'],
  ["limit_conn a 0;", 'invalid number of connections "0"'],
  ["limit_conn a 65536;", "connection limit must be less 65536"],
  ["limit_conn a 1; limit_conn a 2;", '"limit_conn" directive is duplicate'],
  ["limit_conn_status 399;", "value must be between 400 and 599"],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
