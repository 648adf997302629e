/** Reload, upgrade, background, sockets and service managers, as Gunicorn's users know them. */
import { expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, refuses } from "../support/nginx_server.ts";
import { type Directory, type Server, until } from "../support/server.ts";
import { app, gunicorn, listening, place, run, start, text } from "./support.ts";

const says = (word: string): string => app.replace('text = "hello"', `text = "${word}"`);
const pidIn = (directory: Directory, name: string): number =>
  Number(readFileSync(join(directory.path, name), "utf8").trim());
const curl = async (...args: string[]): Promise<string> =>
  new Response(Bun.spawn(["curl", "-s", "--max-time", "20", ...args]).stdout).text();
const serves = async (port: number, word: string): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/`, { keepalive: false, headers: { Connection: "close" } })
    .then((answer) => answer.text())
    .then(
      (body) => body === word,
      () => false,
    );

/** A process that no handle of ours ends: it is told to when the test is over, however that ends. */
const stray = (pid: number): Disposable => ({
  [Symbol.dispose]() {
    try {
      process.kill(pid, "SIGTERM");
    } catch {
      // It has ended by itself, as it should.
    }
  },
});

test("HUP: new code, new settings; a keep-alive client loses nothing", async () => {
  using directory = place({ "gunicorn.conf.py": "keepalive = 30\n" });
  await using server = await start(directory, ["app:app"]);
  expect(await text(server, "/")).toBe("hello");
  let asking = true;
  const answers: string[] = [];
  const client = (async () => {
    while (asking) answers.push(await text(server, "/"));
  })();
  for (const word of ["first", "second", "third"]) {
    directory.write("app.py", says(word));
    server.signal("SIGHUP");
    await until(() => answers.at(-1) === word, `${word} is served`);
  }
  asking = false;
  await client;
  expect(new Set(answers)).toEqual(new Set(["hello", "first", "second", "third"]));
});

test.each([
  ["code", { "app.py": "raise RuntimeError('broken on purpose')\n" }, /broken on purpose/],
  ["a configuration", { "gunicorn.conf.py": "workers = 'many'\n" }, /Invalid value for workers: many/],
])("HUP with broken %s: the old workers keep serving, and the log says why", async (_, files, words) => {
  using directory = place({ "gunicorn.conf.py": "workers = 1\n" });
  await using server = await start(directory, ["app:app"]);
  const pid = await text(server, "/pid");
  for (const [name, content] of Object.entries(files)) directory.write(name, content);
  server.signal("SIGHUP");
  await server.logged(/The reload failed/);
  await server.logged(words);
  expect(await text(server, "/pid")).toBe(pid);
});

test("HUP with another bind and more workers", async () => {
  const [first, second] = [freePort(), freePort()];
  using directory = place({ "gunicorn.conf.py": `bind = "127.0.0.1:${first}"\n` });
  await using server = await start(directory, ["app:app"], { ownBind: true });
  await until(() => serves(first, "hello"), "it serves");
  directory.write("gunicorn.conf.py", `bind = "127.0.0.1:${second}"\nworkers = 2\n`);
  server.signal("SIGHUP");
  await server.logged(/The new workers serve/);
  expect(await serves(second, "hello")).toBe(true);
  await until(() => refuses(first), "the old address is closed");
});

test("several binds, a Unix socket with its mode; the file is gone at the end", async () => {
  using directory = place();
  const path = join(directory.path, "a.sock");
  const server = await start(directory, ["-b", "127.0.0.1:0", "-b", `unix:${path}`, "-m", "007", "app:app"], {
    ownBind: true,
  });
  expect(await text(server, "/")).toBe("hello");
  expect(await curl("--unix-socket", path, "http://x/environ/REMOTE_ADDR")).toBe("");
  expect(await curl("--unix-socket", path, "http://x:81/environ/SERVER_PORT")).toBe("81");
  expect(statSync(path).mode & 0o777).toBe(0o770);
  await server.stop();
  expect(existsSync(path)).toBe(false);
});

test("fd://: a socket that somebody else has made; others are left alone", async () => {
  using directory = place();
  const port = freePort();
  const script = `
import os, socket, sys
s = socket.create_server(("127.0.0.1", ${port}))
os.dup2(s.fileno(), 7)
os.execv("${gunicorn}", ["gunicorn", "-b", "fd://7", "-b", "127.0.0.1:1", "app:app"])
`;
  const child = Bun.spawn(["python3", "-c", script], { cwd: directory.path, stdio: ["ignore", "ignore", "ignore"] });
  await until(() => serves(port, "hello"), "it serves");
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});

test("systemd: sockets from LISTEN_FDS; READY, RELOADING and STOPPING are said", async () => {
  using directory = place();
  await using _ = await listening(directory);
  const port = freePort();
  const script = `
import os, socket
s = socket.create_server(("127.0.0.1", ${port}))
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", NOTIFY_SOCKET=os.path.abspath("datagrams"), WATCHDOG_USEC="200000")
os.execv("${gunicorn}", ["gunicorn", "app:app"])
`;
  const child = Bun.spawn(["python3", "-c", script], { cwd: directory.path, stdio: ["ignore", "ignore", "ignore"] });
  const said = (): string => {
    const path = join(directory.path, "heard");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  await until(() => /READY=1\nSTATUS=/.test(said()), "READY");
  expect(await serves(port, "hello")).toBe(true);
  expect(await curl(`http://127.0.0.1:${port}/env/LISTEN_FDS`)).toBe("-");
  await until(() => said().includes("WATCHDOG=1"), "WATCHDOG");
  child.kill("SIGHUP");
  await until(() => /RELOADING=1\nMONOTONIC_USEC=\d+[\s\S]*READY=1/.test(said()), "RELOADING and READY");
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  await until(() => said().includes("STOPPING=1"), "STOPPING");
});

test("a pid file; a second server with the same one is refused; a port in use", async () => {
  using directory = place();
  const server = await start(directory, ["-p", "my.pid", "app:app"]);
  expect(pidIn(directory, "my.pid")).toBe(server.pid);
  const second = await run(directory, ["-p", "my.pid", "-b", "127.0.0.1:0", "app:app"]);
  expect(second.code).toBe(1);
  expect(second.err).toContain(`my.pid`);
  const third = await run(directory, ["-b", `127.0.0.1:${server.port}`, "app:app"]);
  expect(third.code).toBe(1);
  expect(third.err).toContain(`Connection in use: ('127.0.0.1', ${server.port})`);
  await server.stop();
  expect(existsSync(join(directory.path, "my.pid"))).toBe(false);
}, 60_000);

test("a daemon: the command returns when it serves; WINCH lets the workers leave, HUP brings them back", async () => {
  using directory = place();
  const port = freePort();
  const { code } = await run(directory, [
    "-D",
    "-p",
    "d.pid",
    "-b",
    `127.0.0.1:${port}`,
    "--log-file",
    "e.log",
    "app:app",
  ]);
  expect(code).toBe(0);
  using _daemon = stray(pidIn(directory, "d.pid"));
  expect(await serves(port, "hello")).toBe(true);
  const log = (): string => readFileSync(join(directory.path, "e.log"), "utf8");
  process.kill(pidIn(directory, "d.pid"), "SIGWINCH");
  await until(() => /Worker exiting/.test(log()), "the worker leaves");
  process.kill(pidIn(directory, "d.pid"), "SIGHUP");
  await until(() => serves(port, "hello"), "it serves again");
  process.kill(pidIn(directory, "d.pid"), "SIGTERM");
  await until(() => !existsSync(join(directory.path, "d.pid")), "it ends");
  expect(readFileSync(join(directory.path, "e.log"), "utf8")).toContain("Shutting down: Master");
});

test("USR2: a second master with pid file .2 beside the first; when that leaves, it takes the name", async () => {
  using directory = place({ "gunicorn.conf.py": "def pre_exec(server): open('pre_exec', 'w').close()\n" });
  const port = freePort();
  const server: Server = await start(directory, ["-p", "my.pid", "-b", `127.0.0.1:${port}`, "app:app"], {
    ownBind: true,
  });
  await until(() => serves(port, "hello"), "it serves");
  directory.write("app.py", says("upgraded"));
  server.signal("SIGUSR2");
  await until(() => existsSync(join(directory.path, "my.pid.2")), "my.pid.2");
  const second = pidIn(directory, "my.pid.2");
  using _second = stray(second);
  expect(pidIn(directory, "my.pid")).toBe(server.pid);
  await until(() => existsSync(join(directory.path, "pre_exec")), "pre_exec");
  await until(() => serves(port, "upgraded"), "the second one serves");
  server.signal("SIGTERM");
  expect(await server.process.exited).toBe(0);
  await until(() => existsSync(join(directory.path, "my.pid")) && pidIn(directory, "my.pid") === second, "the name");
  expect(existsSync(join(directory.path, "my.pid.2"))).toBe(false);
  expect(await serves(port, "upgraded")).toBe(true);
  process.kill(second, "SIGTERM");
  await until(() => refuses(port), "the end");
}, 60_000);

test("USR2 with broken code: the first keeps serving", async () => {
  using directory = place();
  await using server = await start(directory, ["app:app"]);
  expect(await text(server, "/")).toBe("hello");
  directory.write("app.py", "raise RuntimeError('broken on purpose')\n");
  server.signal("SIGUSR2");
  await server.logged(/new binary process \d+ exited/);
  expect(await text(server, "/")).toBe("hello");
});

test("USR1: log files are opened anew by all who write them", async () => {
  using directory = place();
  const args = ["--access-logfile", "a.log", "--log-file", "e.log", "--capture-output", "app:app"];
  const port = freePort();
  const server = await start(directory, ["-b", `127.0.0.1:${port}`, ...args], { ownBind: true, early: true });
  const file = (name: string): string => join(directory.path, name);
  await until(() => serves(port, "hello"), "it serves");
  await until(() => readFileSync(file("a.log"), "utf8") !== "", "a line");
  for (const name of ["a.log", "e.log"]) renameSync(file(name), file(`${name}.1`));
  server.signal("SIGUSR1");
  await until(() => existsSync(file("a.log")) && existsSync(file("e.log")), "the new files");
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  await until(async () => {
    await ask("/print/captured");
    await ask("/fail");
    return /captured/.test(readFileSync(file("e.log"), "utf8")) && readFileSync(file("a.log"), "utf8") !== "";
  }, "lines in the new files");
  expect(readFileSync(file("e.log"), "utf8")).toContain("RuntimeError: on purpose");
  await server.stop();
});

test.each(["auto", "poll"])(
  "reload_engine %s: a saved file, or one that is named, restarts the workers",
  async (engine) => {
    using directory = place({ "data/one.txt": "1" });
    const args = ["--reload", "--reload-engine", engine, "--reload-extra-file", "data/*.txt", "app:app"];
    await using server = await start(directory, args);
    const pid = await text(server, "/pid");
    // Saved again now and then, as its user would: a machine that is busy may not be watching yet.
    let savedAt = 0;
    await until(async () => {
      if (Date.now() - savedAt > 3000) {
        directory.write("app.py", says("changed"));
        savedAt = Date.now();
      }
      return (await text(server, "/")) === "changed";
    }, "the change is served");
    const second = await text(server, "/pid");
    expect(second).not.toBe(pid);
    writeFileSync(join(directory.path, "data/one.txt"), "22");
    await until(async () => (await text(server, "/pid")) !== second, "the extra file restarts it");
  },
  60_000,
);

test("preload: the application is loaded once, and HUP loads it anew all the same", async () => {
  using directory = place({ "app.py": `import os\nprint("loaded by", os.getpid(), flush=True)\n${app}` });
  await using server = await start(directory, ["--preload", "-w", "2", "app:app"]);
  const [, loader] = await server.logged(/loaded by (\d+)/);
  expect(await text(server, "/pid")).not.toBe(loader!);
  expect(server.output.match(/loaded by/g)?.length).toBe(1);
  directory.write("app.py", says("again"));
  server.signal("SIGHUP");
  await until(async () => (await text(server, "/")) === "again", "the new code answers");
});

test("max_requests: a worker is replaced, and no request is lost", async () => {
  using directory = place();
  await using server = await start(directory, ["--max-requests", "5", "--max-requests-jitter", "2", "app:app"]);
  const pids = new Set<string>();
  await until(async () => {
    pids.add(await text(server, "/pid"));
    return pids.size > 2;
  }, "the third worker");
});

test("workers as another user and group", async () => {
  if (process.getuid?.() !== 0) return;
  using directory = place({ "gunicorn.conf.py": "user = 'nobody'\ngroup = 65534\n" });
  chmodSync(directory.path, 0o755);
  directory.write("app.py", app.replace('text = "hello"', "text = f'{os.getuid()} {os.getgid()}'"));
  await using server = await start(directory, ["app:app"]);
  expect(await text(server, "/")).toBe("65534 65534");
});

test("threads: as many requests at once", async () => {
  using directory = place();
  await using server = await start(directory, ["--threads", "4", "app:app"]);
  await server.logged(/Using worker: gthread/);
  const [slow, quick] = [text(server, "/sleep/1"), text(server, "/")];
  expect(await Promise.race([slow.then(() => "slow"), quick.then(() => "quick")])).toBe("quick");
  expect(await text(server, "/environ/wsgi.multithread")).toBe("True");
  await slow;
});

test("an idle connection holds up nobody, neither a request nor the end", async () => {
  using directory = place();
  const server = await start(directory, ["app:app"]);
  const idle = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
  const half = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
  half.write("GET / HTTP/1.1\r\nHost:");
  expect(await text(server, "/")).toBe("hello");
  half.end();
  expect(await server.stop()).toBe(0);
  idle.end();
});
