/** Whatever dies: what it was doing is answered, the rest goes on, and nothing stays behind. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Load } from "../support/load.ts";
import { Directory, Server, until } from "../support/server.ts";
import { ask, Client } from "../support/socket.ts";

const app = ["--chdir", "tests/apps", "life:app"];
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

/** Children of a process, and theirs. */
async function descendants(pid: number): Promise<{ pid: number; args: string }[]> {
  const listing = await new Response(Bun.spawn(["ps", "-eo", "pid=,ppid=,args="]).stdout).text();
  const rows = [...listing.matchAll(/^ *(\d+) +(\d+) (.*)$/gm)].map(([, own, parent, args]) => ({
    pid: Number(own),
    parent: Number(parent),
    args: args!,
  }));
  const below = (parent: number): typeof rows =>
    rows.filter((row) => row.parent === parent).flatMap((row) => [row, ...below(row.pid)]);
  return below(pid);
}
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

for (const path of ["/exit", "/kill"]) {
  test(`a worker that dies (${path}): 502 for its request, a clear line, a replacement`, async () => {
    await using server = await Server.start([...app, "--workers", "2"]);
    const load = new Load(server.port, { clients: 8 });
    expect((await server.fetch(path)).status).toBe(502);
    await server.logged(/Worker \(pid:\d+\) .*\n[\s\S]*Booting worker/);
    expect(server.output).toMatch(new RegExp(`worker \\(pid:\\d+\\) died while it handled GET ${path}`));
    await load.more(100);
    await load.stop();
    // Only requests that were running in the dying worker itself may have failed.
    expect(load.lost).toBe(0);
    expect(load.answers.get(502) ?? 0).toBeLessThanOrEqual(1);
  });
}

test("a request longer than --timeout: 504, the worker's stack in the log, a replacement", async () => {
  await using server = await Server.start([...app, "--workers", "1", "--timeout", "1"]);
  expect((await server.fetch("/spin")).status).toBe(504);
  await server.logged(/WORKER TIMEOUT \(pid:\d+\)/);
  await server.logged(/life\.py", line \d+ in app/);
  expect((await server.fetch("/")).status).toBe(200);
});

test("a web worker that dies is replaced; the application's workers stay", async () => {
  await using server = await Server.start([...app, "--workers", "1", "--web-workers", "1"]);
  const before = await (await server.fetch("/")).text();
  const [web] = (await descendants(server.pid)).filter(({ args }) => args.includes("--web-worker"));
  process.kill(web!.pid, "SIGKILL");
  await server.logged(/web worker \(pid:\d+\) ended on signal/);
  expect(await (await server.fetch("/")).text()).toBe(before);
});

test("a web worker that dies takes nobody's place with it", async () => {
  using directory = new Directory();
  const gate = join(directory.path, "go");
  await using server = await Server.start([...app, "--workers", "1", "--web-workers", "1"]);
  using client = await Client.open(server.port);
  client.send(get(`/wait?${gate}`));
  const [web] = (await descendants(server.pid)).filter(({ args }) => args.includes("--web-worker"));
  await until(
    async () => (await server.fetch("/", { signal: AbortSignal.timeout(200) }).catch(() => "busy")) === "busy",
    "the worker is busy",
  );
  process.kill(web!.pid, "SIGKILL");
  await client.end();
  writeFileSync(gate, "");
  expect((await server.fetch("/")).status).toBe(200);
});

test("an arbiter that dies is replaced with all its workers", async () => {
  await using server = await Server.start([...app, "--workers", "1"]);
  const before = (await (await server.fetch("/")).text()).split(" ")[0];
  const arbiter = (await descendants(server.pid)).find(({ args }) => args.includes("python/alicorn"));
  process.kill(arbiter!.pid, "SIGKILL");
  await server.logged(/application arbiter \(pid:\d+\) ended/);
  await until(() => !isAlive(Number(before)), "its worker has gone");
  const after = (await (await server.fetch("/")).text()).split(" ")[0];
  expect(after).not.toBe(before);
});

test("kill -9 of the master: no process, no socket, no pid file, no temporary file stays", async () => {
  using directory = new Directory();
  const socket = join(directory.path, "app.sock");
  const pidFile = join(directory.path, "pid");
  const server = await Server.start(["--bind", "127.0.0.1:0", "--bind", `unix:${socket}`, "--pid", pidFile, ...app], {
    ownBind: true,
    env: { TMPDIR: directory.path },
  });
  const everybody = await descendants(server.pid);
  expect(everybody.length).toBeGreaterThanOrEqual(3);
  const upload = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(500_000)}`;
  using client = await Client.open(socket);
  client.send(upload);
  expect(await ask(socket, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).toContain("200 OK");
  server.signal("SIGKILL");
  await server.process.exited;
  await until(() => everybody.every(({ pid }) => !isAlive(pid)), "every process has gone");
  expect(readdirSync(directory.path)).toEqual([]);
});

test("after a normal end nothing stays either", async () => {
  using directory = new Directory();
  const socket = join(directory.path, "app.sock");
  const server = await Server.start(["--bind", `unix:${socket}`, ...app], {
    ownBind: true,
    env: { TMPDIR: directory.path },
  });
  const everybody = await descendants(server.pid);
  expect(existsSync(socket)).toBe(true);
  expect(await server.stop()).toBe(0);
  expect(everybody.filter(({ pid }) => isAlive(pid))).toEqual([]);
  expect(readdirSync(directory.path)).toEqual([]);
});

test("--max-requests replaces workers under load, and loses nothing", async () => {
  await using server = await Server.start([
    ...app,
    "--workers",
    "2",
    "--max-requests",
    "50",
    "--max-requests-jitter",
    "20",
  ]);
  const load = new Load(server.port);
  await load.more(1500);
  await load.stop();
  expect([[...load.answers.keys()], load.lost]).toEqual([[200], 0]);
  expect(new Set([...load.bodies].map((body) => body.split(" ")[0])).size).toBeGreaterThan(4);
});

test("an application that forks is left alone", async () => {
  await using server = await Server.start([...app, "--workers", "1"]);
  for (let i = 0; i < 5; i++) expect((await server.fetch("/fork")).status).toBe(200);
  expect(server.output).not.toContain("exited");
});

test("--threads: as many requests at once, and a crash among them", async () => {
  using directory = new Directory();
  const gate = join(directory.path, "go");
  await using server = await Server.start([...app, "--workers", "1", "--threads", "4"]);
  const waiting = [1, 2, 3].map(() => server.fetch(`/wait?${gate}`));
  expect((await server.fetch("/")).status).toBe(200);
  writeFileSync(gate, "");
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await server.fetch("/exit")).status).toBe(502);
  expect((await server.fetch("/")).status).toBe(200);
});
