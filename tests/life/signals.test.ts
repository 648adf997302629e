/** Signals to the master, and what they do to requests under way. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Load } from "../support/load.ts";
import { Directory, processesWith, root, Server, until } from "../support/server.ts";
import { Client } from "../support/socket.ts";

const app = ["--chdir", "tests/apps", "life:app"];
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
const onlyOk = (load: Load) => [[...load.answers.keys()], load.lost];

async function isClosed(port: number): Promise<boolean> {
  const client = await Client.open(port).catch(() => undefined);
  client?.[Symbol.dispose]();
  return client === undefined;
}

/** The application in a directory of its own, so that its code can be changed. */
function ownCopy(): Directory {
  return new Directory({ "life.py": readFileSync(join(root, "tests/apps/life.py")) });
}

test("HUP under load: new code, and not one request lost", async () => {
  using directory = ownCopy();
  await using server = await Server.start(["--chdir", directory.path, "life:app", "--workers", "2"]);
  const load = new Load(server.port);
  await load.more(200);
  directory.write("life.py", readFileSync(join(root, "tests/apps/life.py"), "utf8").replace('"1"', '"2"'));
  server.signal("SIGHUP");
  await server.logged(/generation 2 serves/);
  await load.more(200);
  server.signal("SIGHUP");
  await server.logged(/generation 3 serves/);
  await load.more(200);
  await load.stop();
  expect(onlyOk(load)).toEqual([[200], 0]);
  // The old workers may still take a request that was on its way to them.
  await until(async () => (await (await server.fetch("/")).text()).split(" ")[1] === "2", "the new code answers");
});

test("HUP with preload takes the new code, too", async () => {
  using directory = ownCopy();
  await using server = await Server.start(["--chdir", directory.path, "life:app", "--preload"]);
  directory.write("life.py", readFileSync(join(root, "tests/apps/life.py"), "utf8").replace('"1"', '"2"'));
  server.signal("SIGHUP");
  await server.logged(/generation 2 serves/);
  // The old workers may still take a request that was on its way to them.
  await until(async () => (await (await server.fetch("/")).text()).split(" ")[1] === "2", "the new code answers");
});

test("HUP with code that cannot be loaded: the old serves on, and the log says why", async () => {
  using directory = ownCopy();
  await using server = await Server.start(["--chdir", directory.path, "life:app"]);
  const load = new Load(server.port);
  directory.write("life.py", "import nothing_of_that_name\n");
  server.signal("SIGHUP");
  await server.logged(/the reload failed/);
  await load.more(100);
  await load.stop();
  expect(onlyOk(load)).toEqual([[200], 0]);
  expect(server.output).toContain("nothing_of_that_name");
});

test("TERM finishes what is under way and takes nothing new", async () => {
  using directory = new Directory();
  const server = await Server.start([...app, "--workers", "1"]);
  const gate = join(directory.path, "go");
  using slow = await Client.open(server.port);
  using idle = await Client.open(server.port);
  idle.send(get("/"));
  await idle.read(/200 OK[\s\S]*alicorn/);
  slow.send(get(`/wait?${gate}`));
  await until(
    async () => (await server.fetch("/nothing", { signal: AbortSignal.timeout(200) }).catch(() => "busy")) === "busy",
    "the worker is busy",
  );
  server.signal("SIGTERM");
  await server.logged(/Shutting down/);
  await idle.end();
  await until(() => isClosed(server.port), "the port is closed");
  writeFileSync(gate, "");
  expect(await slow.end()).toContain("HTTP/1.1 200 OK");
  expect(await server.process.exited).toBe(0);
});

test("TERM does not wait longer than --graceful-timeout", async () => {
  const server = await Server.start([...app, "--workers", "1", "--graceful-timeout", "1"]);
  using stuck = await Client.open(server.port);
  stuck.send(get("/spin"));
  await until(
    async () => (await server.fetch("/", { signal: AbortSignal.timeout(200) }).catch(() => "busy")) === "busy",
    "the worker is busy",
  );
  expect(await server.stop()).toBe(0);
  expect(await processesWith(`:${server.port}`)).toEqual([]);
});

for (const signal of ["SIGINT", "SIGQUIT"] as const) {
  test(`${signal} ends at once`, async () => {
    const server = await Server.start([...app, "--workers", "1"]);
    using stuck = await Client.open(server.port);
    stuck.send(get("/spin"));
    await until(
      async () => (await server.fetch("/", { signal: AbortSignal.timeout(200) }).catch(() => "busy")) === "busy",
      "the worker is busy",
    );
    const begun = performance.now();
    expect(await server.stop(signal)).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
}

test("TTIN and TTOU change the number of workers, at least one stays, and no request is lost", async () => {
  await using server = await Server.start([...app, "--workers", "1"]);
  const load = new Load(server.port);
  const pids = async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 60; i++) seen.add((await (await server.fetch("/")).text()).split(" ")[0]!);
    return seen.size;
  };
  // One after the other: the system delivers two pending signals of a kind as one.
  server.signal("SIGTTIN");
  await server.logged(/2 application workers/);
  server.signal("SIGTTIN");
  await until(async () => (await pids()) === 3, "three workers");
  server.signal("SIGTTOU");
  await server.logged(/3 application[\s\S]*2 application workers/);
  server.signal("SIGTTOU");
  await server.logged(/1 application worker /);
  server.signal("SIGTTOU");
  await until(async () => (await pids()) === 1, "one worker");
  await load.stop();
  expect(onlyOk(load)).toEqual([[200], 0]);
});

test("USR1 opens the logs anew, in every process", async () => {
  using directory = new Directory();
  const path = (name: string) => join(directory.path, name);
  await using server = await Server.start([
    ...app,
    "--access-log",
    path("access"),
    "--error-log",
    path("error"),
    "--workers",
    "1",
  ]);
  await server.fetch("/log?first");
  await until(
    () => existsSync(path("access")) && readFileSync(path("access"), "utf8").includes("first"),
    "the access log",
  );
  renameSync(path("access"), path("access.1"));
  renameSync(path("error"), path("error.1"));
  server.signal("SIGUSR1");
  await until(() => existsSync(path("access")) && existsSync(path("error")), "new files");
  await until(async () => {
    await server.fetch("/log?second");
    return readFileSync(path("error"), "utf8").includes("a line from the application");
  }, "the application's line in the new file");
  await until(
    () => readFileSync(path("access"), "utf8").includes("GET /log?second HTTP/1.1"),
    "the request in the new file",
  );
  expect(readFileSync(path("access.1"), "utf8")).toMatch(
    /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:[\d:]{8} [+-]\d{4}\] "GET \/log\?first HTTP\/1\.1" 200 \d+ "-" "[^"]+"\n/,
  );
});

test("the pid file is there while the server is, and a second server refuses it", async () => {
  using directory = new Directory();
  const path = join(directory.path, "pid");
  const server = await Server.start([...app, "--pid", path]);
  expect(readFileSync(path, "utf8")).toBe(`${server.pid}\n`);
  const second = await Server.start([...app, "--pid", path], { early: true });
  expect(await second.process.exited).toBe(1);
  expect(second.output).toContain(`names the living process ${server.pid}`);
  expect(await server.stop()).toBe(0);
  expect(existsSync(path)).toBe(false);
});
