/**
 * Configuration files as they are found in the world, unchanged, under Gunicorn and under `alicorn gunicorn`: what an operator can
 * see of the one has to be seen of the other.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Directory, root, Server, until } from "../support/server.ts";
import { gunicorn, place } from "./support.ts";

const venv = join(root, "tests/.venv");
const real = join(venv, "bin/gunicorn");

/** Stands in for prometheus_client's multiprocess mode: a file per worker, which is marked dead by its number. */
const metrics = `
import json, os, threading

folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "metrics")
_lock = threading.Lock()

class Counter:
    """Counts in a file of this process, made at the first count, as the original's values are."""
    def __init__(self, name):
        self.name, self.value, self.pid = name, 0, None
    def inc(self):
        with _lock:
            if self.pid != os.getpid():
                self.value, self.pid = 0, os.getpid()
            self.value += 1
            path = os.path.join(folder, f"counter_{self.pid}.db")
            with open(f"{path}.new", "w") as file:
                json.dump({self.name: self.value}, file)
            os.replace(f"{path}.new", path)

def total(name):
    found = 0
    for each in os.listdir(folder):
        if each.startswith("counter_") and each.endswith(".db"):
            with open(os.path.join(folder, each)) as file:
                found += json.load(file)[name]
    return found

def mark_process_dead(pid):
    """As the original: gauges of the process go, its counters stay."""
    path = os.path.join(folder, f"gauge_livesum_{pid}.db")
    if os.path.exists(path):
        os.remove(path)
`;

const prometheus = {
  "metrics_client.py": metrics,
  "gunicorn.conf.py": `
import multiprocessing
import os

bind = "127.0.0.1:0"
workers = int(os.environ.get("GUNICORN_PROCESSES", "2"))
threads = int(os.environ.get("GUNICORN_THREADS", "4"))
worker_class = "gthread"
timeout = int(os.environ.get("GUNICORN_TIMEOUT", "30"))
forwarded_allow_ips = "*"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
accesslog = "access.log"
os.makedirs("metrics", exist_ok=True)
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", "metrics")

def when_ready(server):
    server.log.info("metrics are in %s", os.environ["PROMETHEUS_MULTIPROC_DIR"])

def post_fork(server, worker):
    open(f"metrics/gauge_livesum_{worker.pid}.db", "w").close()

def child_exit(server, worker):
    from metrics_client import mark_process_dead
    mark_process_dead(worker.pid)
    server.log.info("%s is marked dead", worker.pid)
`,
  "shop.py": `
import os
from metrics_client import Counter, total

requests = Counter("requests_total")

def app(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        body = f"requests_total {total('requests_total')}\\n"
    else:
        requests.inc()
        body = f"{environ['wsgi.url_scheme']} {environ['wsgi.multithread']} {os.getpid()}"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
`,
};

/** Stands in for sentry_sdk: initialised after the fork, reports what the application raises, flushed when the worker leaves. */
const sentry = {
  "sdk.py": `
import os, threading, time

_events, _lock, _thread, _release = [], threading.Lock(), None, None

def init(dsn, release):
    """Starts a thread, which a fork would not take along: hence post_fork."""
    global _thread, _release
    _release = release
    _thread = threading.Thread(target=_work, daemon=True)
    _thread.start()

def capture_exception(error):
    if _thread is None or not _thread.is_alive():
        raise RuntimeError("the background thread is gone")
    with _lock:
        _events.append(f"{_release} {type(error).__name__}: {error}")

def _work():
    while True:
        time.sleep(3600)

def flush():
    with _lock, open("events.log", "a") as file:
        for event in _events:
            file.write(event + "\\n")
        _events.clear()
`,
  "gunicorn.conf.py": `
import os

bind = ["127.0.0.1:0"]
workers = 1
preload_app = True
max_requests = 1000
max_requests_jitter = 50
proc_name = "shop"
raw_env = ["RELEASE=shop@1.2.3"]
loglevel = "info"
errorlog = "-"

def post_fork(server, worker):
    import sdk
    server.log.info("Worker spawned (pid: %s)", worker.pid)
    sdk.init("https://key@sentry.invalid/1", release=os.environ["RELEASE"])

def pre_request(worker, req):
    worker.log.info("-> %s %s", req.method, req.path)

def post_request(worker, req, environ, resp):
    worker.log.info("<- %s %s %s", req.method, req.path, environ["REQUEST_METHOD"])

def worker_exit(server, worker):
    import sdk
    sdk.flush()

def on_exit(server):
    server.log.info("the shop is closed")
`,
  "shop.py": `
import os

def wrapped(app):
    def outer(environ, start_response):
        import sdk
        try:
            return app(environ, start_response)
        except Exception as error:
            sdk.capture_exception(error)
            raise
    return outer

@wrapped
def app(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("out of stock")
    body = os.environ["RELEASE"].encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
`,
};

/** Gevent, with a database driver that has to be patched in each worker (psycogreen's way: a wait callback). */
const greenlets = {
  "driver.py": `
import select, socket

_wait = None

def set_wait_callback(callback):
    global _wait
    _wait = callback

def query(seconds):
    """A C library that asks to be waited for: without a callback it blocks the whole process."""
    ours, theirs = socket.socketpair()
    try:
        if _wait is None:
            raise RuntimeError("the driver is not patched")
        _wait(ours, seconds)
        return type(socket.socket).__module__ + " " + socket.socket.__module__
    finally:
        ours.close()
        theirs.close()
`,
  "gunicorn.conf.py": `
bind = "127.0.0.1:0"
worker_class = "gevent"
workers = 1
worker_connections = 100

def do_post_fork(server, worker):
    import gevent
    import driver
    from gevent.socket import wait_read

    def wait(connection, seconds):
        try:
            wait_read(connection.fileno(), timeout=seconds)
        except OSError:
            pass

    driver.set_wait_callback(wait)
    worker.log.info("Made the driver green")

post_fork = do_post_fork

def post_worker_init(worker):
    worker.log.info("monkey patched: %s", __import__("gevent.monkey").monkey.is_module_patched("socket"))
`,
  "shop.py": `
import driver

here = most = 0

def app(environ, start_response):
    global here, most
    if environ["PATH_INFO"] == "/most":
        body = str(most)
    else:
        here += 1
        most = max(most, here)
        body = driver.query(0.3)
        here -= 1
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
`,
};

/** Gunicorn's gevent workers need both. */
const hasGevent =
  existsSync(real) &&
  Bun.spawnSync([join(venv, "bin/python"), "-c", "import gevent, packaging"], { stderr: "ignore" }).exitCode === 0;

const programs = [
  ["Gunicorn", real],
  ["alicorn gunicorn", gunicorn],
] as const;

type Observe = (server: Server, directory: Directory) => Promise<unknown>;

/** Runs it under both; what was observed of each. */
async function both(files: Readonly<Record<string, string>>, observe: Observe): Promise<Record<string, unknown>> {
  const seen: Record<string, unknown> = {};
  for (const [name, program] of programs) {
    using directory = place(files);
    const env = { VIRTUAL_ENV: venv, XDG_RUNTIME_DIR: directory.path, PYTHONDONTWRITEBYTECODE: "1" };
    const server = await Server.start(["shop:app"], {
      cwd: directory.path,
      program,
      env,
      ownBind: true,
      started: /Listening at/,
    });
    try {
      seen[name] = await observe(server, directory);
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }
  return seen;
}

function same(seen: Record<string, unknown>): unknown {
  expect(seen["alicorn gunicorn"]).toEqual(seen.Gunicorn);
  return seen.Gunicorn;
}

const lines = (directory: Directory, name: string): string[] => {
  const path = join(directory.path, name);
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").filter(Boolean) : [];
};

const count = (server: Server, pattern: RegExp): number => server.output.match(new RegExp(pattern, "g"))?.length ?? 0;

/** Each request on a connection of its own: neither may prefer a worker because of the connection. */
const ask = (server: Server, path: string, headers: Readonly<Record<string, string>> = {}) =>
  server.fetch(path, { headers: { Connection: "close", ...headers } });

describe.skipIf(!existsSync(real))("unchanged, under both", () => {
  test("metrics of several processes: child_exit marks a dead worker, its counts stay", async () => {
    const seen = await both(prometheus, async (server, directory) => {
      await server.logged(/metrics are in metrics/);
      const gauges = () =>
        readdirSync(join(directory.path, "metrics")).filter((name) => name.startsWith("gauge_")).length;
      await until(() => gauges() === 2, "two workers");
      const answers = await Promise.all(
        Array.from({ length: 6 }, () => ask(server, "/", { "X-Forwarded-Proto": "https" })),
      );
      const texts = await Promise.all(answers.map((answer) => answer.text()));
      // Gunicorn writes a request down after its answer: who is killed meanwhile never does.
      await until(() => lines(directory, "access.log").length === 6, "six requests in the log");
      const pids = [...new Set(texts.map((text) => Number(text.split(" ")[2])))];
      const first = pids[0] ?? 0;
      process.kill(first, "SIGKILL");
      await server.logged(new RegExp(`${first} is marked dead`));
      await until(
        () => gauges() === 2 && !existsSync(join(directory.path, `metrics/gauge_livesum_${first}.db`)),
        "another",
      );
      const total = await (await ask(server, "/metrics")).text();
      server.signal("SIGHUP");
      await until(() => count(server, /is marked dead/) === 3, "the old ones have left");
      const afterReload = await (await ask(server, "/metrics")).text();
      const code = await server.stop();
      return {
        schemes: [...new Set(texts.map((text) => text.replace(/ \d+$/, "")))],
        total,
        afterReload,
        left: gauges(),
        code,
        dead: count(server, /is marked dead/),
        access: lines(directory, "access.log")
          .map((line) => line.replace(/\[.*?\]/, "[]"))
          .sort(),
      };
    });
    expect(same(seen)).toMatchObject({ schemes: ["https True"], total: "requests_total 6\n", left: 0, dead: 5 });
  });

  test("an error reporter: started in post_fork, though the application is preloaded; flushed in worker_exit", async () => {
    const seen = await both(sentry, async (server, directory) => {
      await server.logged(/Worker spawned \(pid: \d+\)/);
      const good = await ask(server, "/");
      const bad = await ask(server, "/broken");
      await server.logged(/<- GET \/broken/);
      const code = await server.stop();
      return {
        good: [good.status, await good.text()],
        bad: bad.status,
        code,
        events: lines(directory, "events.log"),
        said: server.output.match(/(?<=\[INFO\] )(->|<-|the shop).*/g),
        traceback: /ValueError: out of stock/.test(server.output),
      };
    });
    expect(same(seen)).toMatchObject({
      events: ["shop@1.2.3 ValueError: out of stock"],
      bad: 500,
      code: 0,
      traceback: true,
    });
  });

  test.skipIf(!hasGevent)("gevent, and a driver that is made green in post_fork", async () => {
    const seen = await both(greenlets, async (server) => {
      await server.logged(/Made the driver green/);
      await server.logged(/monkey patched: \w+/);
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask(server, "/")));
      const texts = new Set(await Promise.all(answers.map((answer) => answer.text())));
      const most = await (await ask(server, "/most")).text();
      const patched = /monkey patched: (\w+)/.exec(server.output)?.[1];
      return {
        statuses: [...new Set(answers.map(({ status }) => status))],
        texts: [...texts],
        most,
        patched,
        code: await server.stop(),
      };
    });
    expect(same(seen)).toMatchObject({ statuses: [200], most: "8", patched: "True", code: 0 });
  });
});
