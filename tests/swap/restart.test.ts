/** Servers behind the proxy are killed and started again, one after the other, while clients ask for pages and send what must not happen twice. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exchange } from "../app/support.ts";
import { Load } from "../support/load.ts";
import { freePort, NginxServer } from "../support/nginx_server.ts";
import { Directory, root, Server, until } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { hasGunicorn, startApp } from "./set_ups.ts";

/** Connections to the servers behind it that are kept. */
const kept = 4;

const passing = (port: number, servers: readonly string[]): string => `
daemon off;
user root;
pid nginx.pid;
error_log error.log warn;
worker_processes 1;
events { worker_connections 512; }
http {
  access_log off;
  upstream pair {
    ${servers.map((each) => `server ${each} fail_timeout=0;`).join("\n    ")}
    keepalive ${kept};
  }
  server {
    listen 127.0.0.1:${port};
    location = /worker { return 200 $pid; }
    location / {
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_pass http://pair;
    }
  }
}
`;

/** Sends POSTs, each with a name of its own, over a few connections. */
class Posts {
  /** Names by the status that they were answered with; 0: the connection ended. */
  readonly answers = new Map<number, string[]>();
  readonly #done: Promise<unknown>;
  #running = true;
  #next = 0;

  constructor(port: number, clients: number) {
    this.#done = Promise.all(Array.from({ length: clients }, () => this.#client(port)));
  }

  async #client(port: number): Promise<void> {
    while (this.#running) {
      using client = await Client.open(port);
      while (this.#running && !client.closed) {
        const name = `n${this.#next++}`;
        const request = `POST /once/${name} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`;
        const status = await exchange(client, request).then(
          (response) => response.status,
          () => 0,
        );
        this.answers.set(status, [...(this.answers.get(status) ?? []), name]);
      }
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }
}

const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

interface Behind {
  readonly addresses: readonly [string, string];
  start(index: number): Promise<Server>;
  readonly signal: NodeJS.Signals;
}

interface Survived {
  readonly gets: Load;
  readonly posts: Posts;
  /** The web server's error log. */
  readonly log: string;
}

/** Asks `requests` times for a page, and restarts a server whenever `between` pages have come. */
async function restartUnderLoad(behind: Behind, requests: number, between: number): Promise<Survived> {
  const servers = await Promise.all([behind.start(0), behind.start(1)]);
  await using web = await NginxServer.start((port) => passing(port, behind.addresses));
  const worker = Number(await web.text("/worker"));
  const before = descriptors(worker);
  const gets = new Load(web.port);
  const posts = new Posts(web.port, 4);
  for (let asked = 0, i = 0; asked < requests; asked += 2 * between, i = 1 - i) {
    await gets.more(between);
    await servers[i]?.stop(behind.signal);
    await gets.more(between);
    servers[i] = await behind.start(i);
  }
  await Promise.all([gets.stop(), posts.stop()]);
  await until(() => descriptors(worker) <= before + kept, `the worker has ${before} descriptors again`);
  await Promise.all(servers.map((each) => each[Symbol.asyncDispose]()));
  return { gets, posts, log: web.log };
}

function check({ gets, posts, log }: Survived, file: string): void {
  // Else nothing was tried.
  expect(log).toMatch(/connect\(\).* failed|upstream prematurely closed|recv\(\) failed/);
  expect([[...gets.answers.keys()], gets.lost, [...gets.bodies]]).toEqual([[200], 0, ["<h1>Pieces</h1>\n"]]);
  const done = readFileSync(file, "utf8").trimEnd().split("\n");
  expect(done.length).toBe(new Set(done).size);
  // What was told to have been done was done; what was lost with its server may have been done or not, and the client knows it.
  const told = posts.answers.get(200) ?? [];
  expect(told.length).toBeGreaterThan(100);
  const all = new Set(done);
  expect(told.filter((name) => !all.has(name))).toEqual([]);
  expect([...posts.answers.keys()].filter((status) => status !== 200 && status !== 502)).toEqual([]);
}

test("two small servers, killed in turn: 20,000 pages, none fails, and nothing happens twice", async () => {
  using directory = new Directory();
  const file = join(directory.path, "once");
  const ports = [freePort(), freePort()];
  const survived = await restartUnderLoad(
    {
      addresses: [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`],
      start: (i) =>
        Server.start([join(import.meta.dir, "counting_upstream.ts"), String(ports[i]), file], {
          program: join(root, "bin/bun"),
          ownBind: true,
          started: /listening/,
        }),
      signal: "SIGKILL",
    },
    20_000,
    500,
  );
  check(survived, file);
});

if (!hasGunicorn)
  console.warn("restart: the test with Gunicorn is skipped, for it is not in tests/.venv (npm test makes it)");

test.skipIf(!hasGunicorn)("two Gunicorns, restarted in turn", async () => {
  using directory = new Directory();
  const file = join(directory.path, "once");
  const sockets = ["a.sock", "b.sock"].map((name) => join(directory.path, name));
  const survived = await restartUnderLoad(
    {
      addresses: [`unix:${sockets[0]}`, `unix:${sockets[1]}`],
      start: (i) => startApp("gunicorn", sockets[i] ?? "", "pieces:app", { ONCE: file }),
      signal: "SIGTERM",
    },
    1000,
    250,
  );
  check(survived, file);
});
