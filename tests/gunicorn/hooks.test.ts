/** The hooks of gunicorn.conf.py: when each is called, in which process, and what it can ask. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Directory, type Server, until } from "../support/server.ts";
import { place, start, text } from "./support.ts";

const noting = `
import os
def note(text):
    with open("hooks.log", "a") as log:
        log.write(text + "\\n")
`;

const all = `${noting}
def on_starting(server): note(f"on_starting {server.cfg.workers} {server.num_workers} {server.proc_name}")
def on_reload(server): note("on_reload")
def when_ready(server): note(f"when_ready {len(server.LISTENERS)}")
def pre_fork(server, worker): note(f"pre_fork {worker.age} {worker.pid}")
def post_fork(server, worker): note(f"post_fork {worker.age} {worker.pid == os.getpid()} {worker.ppid == os.getppid()}")
def post_worker_init(worker): note(f"post_worker_init {worker.age} {callable(worker.wsgi)} {worker.cfg.workers}")
def worker_int(worker): note(f"worker_int {worker.age}")
def worker_abort(worker): note(f"worker_abort {worker.age}")
def pre_exec(server): note("pre_exec")
def pre_request(worker, req): note(f"pre_request {req.method} {req.uri} {req.path} {req.query} {dict(req.headers)['X-ONE']}")
def post_request(worker, req, environ, resp): note(f"post_request {resp.status} {resp.status_code} {resp.sent} {environ['PATH_INFO']} {worker.nr}")
def child_exit(server, worker): note(f"child_exit {worker.age} {worker.pid in server.WORKERS}")
def worker_exit(server, worker): note(f"worker_exit {worker.age}")
def nworkers_changed(server, new, old): note(f"nworkers_changed {new} {old}")
def on_exit(server): note("on_exit")
`;

const log = (directory: Directory): string[] => {
  try {
    return readFileSync(join(directory.path, "hooks.log"), "utf8").trim().split("\n");
  } catch {
    return [];
  }
};

const noted = (directory: Directory, line: string): Promise<void> =>
  until(() => log(directory).includes(line), `${line} in hooks.log: ${log(directory).join("; ")}`);

test("a life, from on_starting to on_exit", async () => {
  using directory = place({ "gunicorn.conf.py": all });
  const server = await start(directory, ["app:app", "-n", "mine"]);
  await server.fetch("/a%20b?c=d", { headers: { "X-One": "1" } });
  await noted(directory, "post_request 200 OK 200 5 /a b 1");
  server.signal("SIGTTIN");
  await noted(directory, "post_worker_init 2 True 1");
  server.signal("SIGTTOU");
  await noted(directory, "child_exit 1 False");
  expect(await server.stop()).toBe(0);
  expect(log(directory)).toEqual([
    "nworkers_changed 1 None",
    "on_starting 1 1 mine",
    "when_ready 1",
    "pre_fork 1 [booting]",
    "post_fork 1 True True",
    "post_worker_init 1 True 1",
    "pre_request GET /a%20b?c=d /a%20b c=d 1",
    "post_request 200 OK 200 5 /a b 1",
    "nworkers_changed 2 1",
    "pre_fork 2 [booting]",
    "post_fork 2 True True",
    "post_worker_init 2 True 1",
    "nworkers_changed 1 2",
    "worker_exit 1",
    "child_exit 1 False",
    "worker_exit 2",
    "child_exit 2 False",
    "on_exit",
  ]);
});

test("a reload: on_reload in place of on_starting, and what TTIN had added is gone", async () => {
  using directory = place({ "gunicorn.conf.py": all });
  await using server = await start(directory, ["app:app"]);
  await noted(directory, "post_worker_init 1 True 1");
  server.signal("SIGTTIN");
  await noted(directory, "post_worker_init 2 True 1");
  const from = log(directory).length;
  server.signal("SIGHUP");
  await server.logged(/The new workers serve/);
  expect(log(directory).slice(from, from + 5)).toEqual([
    "nworkers_changed 1 2",
    "on_reload",
    "pre_fork 3 [booting]",
    "post_fork 3 True True",
    "post_worker_init 3 True 1",
  ]);
  expect(log(directory)).not.toContain("on_exit");
});

test("a worker that is stuck: worker_abort, then its end; the log shows where it was", async () => {
  using directory = place({ "gunicorn.conf.py": `${all}timeout = 1\n` });
  await using server = await start(directory, ["app:app"]);
  const answer = await server.fetch("/sleep/30", { headers: { "X-One": "1" } });
  expect(answer.status).toBe(504);
  await noted(directory, "child_exit 1 False");
  expect(log(directory)).toContain("worker_abort 1");
  expect(log(directory)).toContain("worker_exit 1");
  await server.logged(/CRITICAL\] WORKER TIMEOUT \(pid:\d+\)/);
  await server.logged(/File "[^"]*app\.py", line \d+ in app/);
});

test("a quick end: worker_int", async () => {
  using directory = place({ "gunicorn.conf.py": all });
  const server = await start(directory, ["app:app"]);
  await noted(directory, "post_worker_init 1 True 1");
  expect(await server.stop("SIGINT")).toBe(0);
  expect(log(directory).slice(-4)).toEqual(["worker_int 1", "worker_exit 1", "child_exit 1 False", "on_exit"]);
});

test("an exception in pre_request is a failed request; one in post_request is only logged", async () => {
  using directory = place({
    "gunicorn.conf.py": `
def pre_request(worker, req):
    if req.path == "/no":
        raise RuntimeError("not this one")
def post_request(worker, req, environ):
    raise RuntimeError("afterwards")
`,
  });
  await using server = await start(directory, ["app:app"]);
  expect((await server.fetch("/no")).status).toBe(500);
  expect(await text(server, "/")).toBe("hello");
  await server.logged(/Exception in post_request hook/);
});

test.each([
  ["on_starting", "def on_starting(server): raise RuntimeError('before the start')", 1, "before the start"],
  ["when_ready", "def when_ready(server): raise RuntimeError('when ready')", 1, "when ready"],
  ["post_fork", "def post_fork(server, worker): raise RuntimeError('after the fork')", 3, "after the fork"],
  ["post_worker_init", "def post_worker_init(worker): raise RuntimeError('at the end')", 3, "at the end"],
])("an exception in %s ends the start", async (_, conf, code, words) => {
  using directory = place({ "gunicorn.conf.py": `${conf}\n` });
  const server = await start(directory, ["app:app"]);
  expect(await server.process.exited).toBe(code);
  await server.logged(new RegExp(words));
});

test("a subclass of a worker class: what it overrides is called, and can call what it replaces", async () => {
  using directory = place({
    "mine.py": `
from gunicorn.workers.gthread import ThreadWorker

class Mine(ThreadWorker):
    def init_process(self):
        self.log.info("init_process of %s", self.age)
        super().init_process()
    def load_wsgi(self):
        super().load_wsgi()
        app = self.wsgi
        self.wsgi = lambda environ, start: app({**environ, "mine": "yes"}, start)
    def handle_exit(self, sig, frame):
        self.log.info("handle_exit %s", sig)
        super().handle_exit(sig, frame)
`,
  });
  const server = await start(directory, ["-k", "mine.Mine", "--threads", "2", "app:app"]);
  expect(await text(server, "/environ/mine")).toBe("yes");
  expect(await text(server, "/environ/wsgi.multithread")).toBe("True");
  expect(await server.stop()).toBe(0);
  await server.logged(/init_process of 1/);
  await server.logged(/handle_exit 15/);
});

/** Signals that are sent to the process that forks, which hooks know as worker.ppid, mean the service. */
test("whoever ends the arbiter ends the service", async () => {
  using directory = place({
    "gunicorn.conf.py": "import os, signal\ndef post_request(worker, req): os.kill(worker.ppid, signal.SIGTERM)\n",
  });
  const server: Server = await start(directory, ["app:app"]);
  expect(await text(server, "/")).toBe("hello");
  expect(await server.process.exited).toBe(0);
  await server.logged(/Handling signal: term/);
});
