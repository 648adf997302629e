/** Worker classes, and settings that only some applications use. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root, until } from "../support/server.ts";
import { place, start, text } from "./support.ts";

const venv = join(root, "tests/.venv");
const hasGevent =
  Bun.spawnSync([existsSync(join(venv, "bin/python")) ? join(venv, "bin/python") : "python3", "-c", "import gevent"], {
    stderr: "ignore",
  }).exitCode === 0;

test.skipIf(!hasGevent)("gevent: requests run in greenlets, as many at once as worker_connections", async () => {
  using directory = place({
    "patched.py": `
import socket, threading, time
here, most = 0, 0
def app(environ, start_response):
    global here, most
    here += 1
    most = max(most, here)
    time.sleep(0.2)
    here -= 1
    start_response("200 OK", [])
    return [f"{socket.socket.__module__} {most}".encode()]
`,
  });
  await using server = await start(directory, ["-k", "gevent", "--worker-connections", "3", "patched:app"], {
    env: { VIRTUAL_ENV: venv },
  });
  await server.logged(/Using worker: gevent/);
  await Promise.all(Array.from({ length: 9 }, () => server.fetch("/", { keepalive: false })));
  expect(await text(server, "/")).toBe("gevent._socket3 3");
});

test("spew prints every line", async () => {
  using directory = place();
  await using server = await start(directory, ["--spew", "app:app"]);
  await server.fetch("/");
  await server.logged(/app\.py:\d+ app/);
});

test("paste without PasteDeploy says what is missing", async () => {
  using directory = place({ "site.ini": "[app:main]\nuse = egg:nothing\n" });
  const server = await start(directory, ["--paste", "site.ini"]);
  expect(await server.process.exited).toBe(3);
  await server.logged(/--paste needs PasteDeploy/);
});

test("logconfig and logconfig_json", async () => {
  const ini = `
[loggers]
keys=root, gunicorn.error, gunicorn.access
[handlers]
keys=file
[formatters]
keys=mine
[logger_root]
handlers=file
[logger_gunicorn.error]
qualname=gunicorn.error
handlers=file
propagate=0
[logger_gunicorn.access]
qualname=gunicorn.access
handlers=file
propagate=0
[handler_file]
class=FileHandler
formatter=mine
args=("ini.log",)
[formatter_mine]
format=INI %(name)s %(message)s
`;
  const json = JSON.stringify({
    version: 1,
    formatters: { mine: { format: "JSON %(name)s %(message)s" } },
    handlers: { file: { class: "logging.FileHandler", filename: "json.log", formatter: "mine" } },
    root: { level: "INFO", handlers: ["file"] },
    loggers: { "gunicorn.access": { level: "INFO", handlers: ["file"], propagate: false } },
  });
  using directory = place({ "log.ini": ini, "log.json": json });
  for (const [flag, file, log] of [
    ["--log-config", "log.ini", "ini.log"],
    ["--log-config-json", "log.json", "json.log"],
  ] as const) {
    await using server = await start(directory, [flag, file, "app:app"]);
    await server.fetch("/x");
    const path = join(directory.path, log);
    await until(() => existsSync(path) && /gunicorn\.access .*"GET \/x /.test(readFileSync(path, "utf8")), log);
  }
});

test("settings written for prometheus_client's files: child_exit knows the worker's number", async () => {
  using directory = place({
    "gunicorn.conf.py": `
import os
workers = 2
os.makedirs("metrics", exist_ok=True)
def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
    open(f"metrics/{worker.pid}.db", "w").close()
def child_exit(server, worker):
    os.remove(f"metrics/{worker.pid}.db")
    server.log.info("metrics of %s removed", worker.pid)
`,
  });
  const server = await start(directory, ["app:app"]);
  const [, pid] = await server.logged(/Worker spawned \(pid: (\d+)\)/);
  await server.fetch("/");
  process.kill(Number(pid), "SIGKILL");
  await server.logged(new RegExp(`metrics of ${pid} removed`));
  await server.stop();
  expect(server.output.match(/metrics of \d+ removed/g)?.length).toBe(3);
});

test("wsgi.errors: the error log", async () => {
  using directory = place({
    "erring.py": `
def app(environ, start_response):
    print("to the log", file=environ["wsgi.errors"])
    start_response("200 OK", [])
    return [b"hello"]
`,
  });
  await using server = await start(directory, ["--log-file", "e.log", "erring:app"], { early: true });
  const log = () =>
    existsSync(join(directory.path, "e.log")) ? readFileSync(join(directory.path, "e.log"), "utf8") : "";
  await until(() => /Listening at/.test(log()), "the address");
  const [, port] = /127\.0\.0\.1:(\d+)/.exec(log()) ?? [];
  await fetch(`http://127.0.0.1:${port}/`);
  await until(() => log().includes("to the log\n"), "the line");
  expect(server.output).not.toContain("to the log");
});
