/** Workers that have grown too large, or have served long enough, or in which a request is stuck: each is replaced, and no request is lost. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunicorn } from "../gunicorn/support.ts";
import { told, workersOf } from "../support/control.ts";
import { NginxServer } from "../support/nginx_server.ts";
import { Directory, root, Server, type StartOptions, until } from "../support/server.ts";

const app = `
import os, re, time
kept = []

def app(environ, start_response):
    _, what, *rest = environ["PATH_INFO"].split("/")
    if what == "grow":
        kept.append(b"x" * (int(rest[0]) << 20))
    elif what == "hold":
        while not os.path.exists(rest[0]):
            time.sleep(0.005)
    elif what == "stuck":
        re.match("(a+)+$", "a" * 40 + "b")
    elif what == "ask":
        gone = environ["alicorn.client_disconnected"]
        assert not gone()
        open("asking", "w").close()
        while not gone():
            time.sleep(0.005)
        open("gone", "w").close()
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
`;

class Place extends Directory {
  readonly socket = join(this.path, "control");

  constructor() {
    super({ "app.py": app });
  }

  /** `alicorn app:app …` */
  start(args: readonly string[], options: StartOptions = {}): Promise<Server> {
    const all = ["--chdir", this.path, "--control-socket", this.socket, "--web-workers", "1", ...args, "app:app"];
    return Server.start(all, { cwd: this.path, ...options });
  }

  /** `alicorn gunicorn …` */
  drop(args: readonly string[], options: StartOptions = {}): Promise<Server> {
    const all = ["--control-socket", this.socket, ...args, "app:app"];
    return Server.start(all, { cwd: this.path, program: gunicorn, started: /Listening at/, ...options });
  }

  has(name: string): boolean {
    return existsSync(join(this.path, name));
  }

  release(name: string): void {
    writeFileSync(join(this.path, name), "");
  }

  async pids(): Promise<Set<number>> {
    return new Set((await workersOf(this.socket)).filter(({ state }) => state === "ready").map(({ pid }) => pid));
  }

  async ready(count: number): Promise<Set<number>> {
    await until(async () => (await this.pids()).size === count, `${count} workers`);
    return this.pids();
  }

  async busy(count: number): Promise<void> {
    await until(
      async () => (await workersOf(this.socket)).flatMap(({ doing }) => doing).length === count,
      `${count} requests run`,
    );
  }
}

const pidOf = async (answer: Response): Promise<number> => {
  expect(answer.status).toBe(200);
  return Number(await answer.text());
};

describe("max_worker_memory", () => {
  test.each(["alicorn", "gunicorn"] as const)(
    "%s: a worker that has grown is replaced, the other stays",
    async (door) => {
      using place = new Place();
      const args = ["--workers", "2", "--max-worker-memory", "150m"];
      await using server = await (door === "alicorn" ? place.start(args) : place.drop(args));
      const before = await place.ready(2);
      const large = await pidOf(await server.fetch("/grow/200"));
      await server.logged(new RegExp(`Worker \\(pid:${large}\\) has \\d+ MB \\(max_worker_memory\\): to be replaced`));
      await until(async () => !(await place.pids()).has(large), "it has left");
      const after = await place.ready(2);
      expect([...before].filter((pid) => after.has(pid))).toEqual([...before].filter((pid) => pid !== large));
      expect(after).toContain(await pidOf(await server.fetch("/")));
    },
  );

  test("app { }: in nginx.conf", async () => {
    using place = new Place();
    const text = (port: number) => `
daemon off; user root; pid nginx.pid; error_log error.log info;
events {}
http {
  app one { module app:app; chdir ${place.path}; workers 1; max_worker_memory 150m; max_worker_age 1000; }
  server { listen 127.0.0.1:${port}; location / { app_pass one; } }
}`;
    await using server = await NginxServer.start(text);
    const large = await pidOf(await fetch(server.url("/grow/200")));
    await until(async () => (await pidOf(await fetch(server.url()))) !== large, "another answers");
  });

  test("an application that needs more as soon as it is loaded is not replaced for ever", async () => {
    using place = new Place();
    await using server = await place.start(["--workers", "1", "--max-worker-memory", "1m"]);
    await server.logged(/WARNING\] max_worker_memory: a worker has \d+ MB as soon as it is loaded; it is replaced at/);
    const first = await pidOf(await server.fetch("/"));
    expect(await place.pids()).toEqual(new Set([first]));
    expect(await pidOf(await server.fetch("/grow/100"))).toBe(first);
    await until(async () => (await pidOf(await server.fetch("/"))) !== first, "it has grown, and is replaced");
  });

  test("a size that is none", async () => {
    using place = new Place();
    const server = await place.start(["--max-worker-memory", "lots"], { early: true });
    expect(await server.process.exited).toBe(2);
    await server.logged(/--max-worker-memory lots: must be a size/);
  });
});

describe("max_worker_age", () => {
  test.each(["alicorn", "gunicorn"] as const)("%s: all are replaced, one after the other", async (door) => {
    using place = new Place();
    const args = ["--workers", "3", "--max-worker-age", "1"];
    await using server = await (door === "alicorn" ? place.start(args) : place.drop(args));
    const before = await place.ready(3);
    let fewest = 3;
    await until(async () => {
      await pidOf(await server.fetch("/"));
      const now = await place.pids();
      fewest = Math.min(fewest, now.size);
      return [...before].every((pid) => !now.has(pid));
    }, "all have been replaced");
    expect(fewest).toBe(3);
    await server.logged(/has reached its age \(max_worker_age\): to be replaced/);
  });
});

describe("max_request_time, with threads", () => {
  test.each(["alicorn", "gunicorn"] as const)(
    "%s: the worker in which a request is stuck is replaced, what else it runs is finished",
    async (door) => {
      using place = new Place();
      const args = ["--workers", "2", "--threads", "2", "--max-request-time", "3", "--graceful-timeout", "3"];
      await using server = await (door === "alicorn" ? place.start(args) : place.drop(args));
      const before = await place.ready(2);
      const stuck = server.fetch("/hold/never?x=1");
      await until(async () => (await workersOf(place.socket)).some(({ busy_for: s }) => (s ?? 0) > 2), "it runs");
      // All other threads, in the same worker and in the other one.
      const held = [server.fetch("/hold/a"), server.fetch("/hold/a"), server.fetch("/hold/a")];
      await place.busy(4);
      const [, text] = await server.logged(
        /CRITICAL\] REQUEST STUCK \(pid:(\d+)\): GET \/hold\/never\?x=1 runs for more/,
      );
      const pid = Number(text);
      await server.logged(/app\.py", line 1[01], in app/);
      await until(async () => !(await place.pids()).has(pid), "it gets nothing new");
      place.release("a");
      const answered = new Set(await Promise.all(held.map(async (each) => pidOf(await each))));
      expect(answered).toEqual(before);
      expect((await stuck).status).toBe(504);
      const after = await place.ready(2);
      expect([...before].filter((each) => after.has(each))).toEqual([...before].filter((each) => each !== pid));
    },
  );
});

describe("timeout, with threads", () => {
  test("a worker that is silent is replaced, the log shows where it is, the others go on", async () => {
    using place = new Place();
    await using server = await place.start(["--workers", "2", "--threads", "2", "--timeout", "2"]);
    const before = await place.ready(2);
    const stuck = server.fetch("/stuck");
    const [, pid] = await server.logged(/WORKER TIMEOUT \(pid:(\d+)\): [\d.]+ s silent/);
    await server.logged(/app\.py", line 13 in app/);
    expect((await stuck).status).toBe(504);
    const after = await place.ready(2);
    expect([...before].filter((each) => after.has(each))).toEqual([...before].filter((each) => each !== Number(pid)));
  });
});

const python = join(root, "tests/.venv/bin/python");
const hasGevent =
  existsSync(python) && Bun.spawnSync([python, "-c", "import gevent"], { stderr: "ignore" }).exitCode === 0;

describe('environ["alicorn.client_disconnected"]', () => {
  const kinds = [
    ["one thread", ["--workers", "1"], "alicorn"],
    ["threads", ["--workers", "1", "--threads", "2"], "alicorn"],
    ["gunicorn", ["--workers", "1"], "gunicorn"],
    ["gevent", ["-k", "gevent"], "gunicorn"],
  ] as const;
  test.each(hasGevent ? kinds : kinds.slice(0, 3))("%s: says when the client is gone", async (_, args, door) => {
    using place = new Place();
    const options = { env: { VIRTUAL_ENV: join(root, "tests/.venv") } };
    const all = ["--client-disconnected", ...args];
    await using server = await (door === "alicorn" ? place.start(all, options) : place.drop(all, options));
    const leaving = new AbortController();
    const left = server.fetch("/ask", { signal: leaving.signal });
    await until(() => place.has("asking"), "it asks");
    expect(place.has("gone")).toBe(false);
    leaving.abort();
    await expect(left).rejects.toThrow();
    await until(() => place.has("gone"), "it knows");
    expect((await server.fetch("/")).status).toBe(200);
  });

  test("it is not there unless it is wanted", async () => {
    using place = new Place();
    await using server = await place.start(["--workers", "1"]);
    expect((await server.fetch("/ask")).status).toBe(500);
    await server.logged(/KeyError: 'alicorn\.client_disconnected'/);
  });
});

describe("request_start", () => {
  test.each(["alicorn", "gunicorn"] as const)("%s: X-Request-Start says when the request arrived", async (door) => {
    using place = new Place();
    place.write(
      "app.py",
      'def app(e, s):\n    s("200 OK", [])\n    return [e.get("HTTP_X_REQUEST_START", "-").encode()]\n',
    );
    const start = (...args: string[]) => (door === "alicorn" ? place.start(args) : place.drop(args));
    {
      await using server = await start("--request-start");
      const before = Date.now();
      const text = await (await server.fetch("/")).text();
      const [, seconds] = /^t=(\d+\.\d{3})$/.exec(text) ?? [];
      expect(Number(seconds) * 1000).toBeGreaterThan(before - 50);
      expect(Number(seconds) * 1000).toBeLessThan(Date.now() + 50);
      // A server in front knows better.
      expect(await (await server.fetch("/", { headers: { "X-Request-Start": "t=1.5" } })).text()).toBe("t=1.5");
    }
    await using server = await start();
    expect(await (await server.fetch("/")).text()).toBe("-");
  });
});

test("$app_queue_time: how long requests have waited for a free worker", async () => {
  using place = new Place();
  const text = (port: number) => `
daemon off; user root; pid nginx.pid; control_socket ${place.socket};
events {}
http {
  log_format waited "$uri $app_queue_time";
  access_log ${place.path}/access.log waited;
  app one { module app:app; chdir ${place.path}; workers 1; }
  server { listen 127.0.0.1:${port}; location / { app_pass one; } location /plain { return 204; } }
}`;
  await using server = await NginxServer.start(text);
  // The first one waits until the application is loaded.
  await fetch(server.url("/loads"));
  await fetch(server.url("/plain"));
  const running = fetch(server.url("/hold/a"));
  await until(async () => (await workersOf(place.socket))[0]?.doing.length === 1, "it runs");
  const waiting = fetch(server.url("/waits"));
  await until(
    async () => (await told<{ requests_waiting: number }>(place.socket, "show", "stats")).requests_waiting === 1,
    "the next one waits",
  );
  place.release("a");
  await Promise.all([running, waiting]);
  const times = () =>
    new Map(
      readFileSync(join(place.path, "access.log"), "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(" ") as [string, string]),
    );
  await until(() => times().size === 4, "four lines");
  expect([times().get("/plain"), times().get("/hold/a")]).toEqual(["-", "0.000"]);
  expect(Number(times().get("/waits"))).toBeGreaterThan(0);
});
