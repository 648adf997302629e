/** The control socket and `alicorn ctl`: what workers are doing, and what they can be told. */
import { describe, expect, test } from "bun:test";
import { lstatSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { ctl, type ToldWorker, told, workersOf } from "../support/control.ts";
import { NginxServer } from "../support/nginx_server.ts";
import { Directory, root, Server, type StartOptions, until } from "../support/server.ts";

/** `/hold/NAME` answers when there is a file of that name; `/stuck` never, and keeps the interpreter's lock. */
const app = `
import os, re, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/hold/"):
        while not os.path.exists(path[6:]):
            time.sleep(0.005)
    if path == "/stuck":
        re.match("(a+)+$", "a" * 40 + "b")
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
`;

class Place extends Directory {
  readonly socket = join(this.path, "control");

  constructor() {
    super({ "app.py": app });
  }

  start(...args: readonly string[]): Promise<Server> {
    return this.startWith({}, ...args);
  }

  startWith(options: StartOptions, ...args: readonly string[]): Promise<Server> {
    const all = ["--chdir", this.path, "--control-socket", this.socket, "--web-workers", "2", ...args, "app:app"];
    return Server.start(all, options);
  }

  /** Lets those go on that wait for it. */
  release(name: string): void {
    writeFileSync(join(this.path, name), "");
  }

  workers(): Promise<readonly ToldWorker[]> {
    return workersOf(this.socket);
  }

  /** Waits until so many requests run. */
  async busy(count: number): Promise<readonly ToldWorker[]> {
    let found: readonly ToldWorker[] = [];
    await until(async () => {
      found = await this.workers();
      return found.flatMap(({ doing }) => doing).length === count;
    }, `${count} requests run`);
    return found;
  }
}

describe("show", () => {
  test("workers: what each is doing, since when, how many requests it has answered, its memory", async () => {
    using place = new Place();
    await using server = await place.start("--workers", "2");
    await server.fetch("/");
    const held = server.fetch("/hold/a?b=%1bc");
    const [idle, busy] = [...(await place.busy(1))].sort((a, b) => a.doing.length - b.doing.length);
    expect(idle).toMatchObject({ state: "ready", booted: true, busy_for: null, doing: [], threads: 1 });
    expect(busy?.doing).toMatchObject([{ method: "GET", target: "/hold/a?b=%1bc", waited: 0, client_gone: false }]);
    expect(busy?.busy_for).toBeGreaterThan(0);
    expect(busy?.rss).toBeGreaterThan(4_000_000);
    place.release("a");
    expect(await (await held).text()).toBe(String(busy?.pid));
    await until(async () => (await place.workers()).every(({ doing }) => doing.length === 0), "both are idle");
    expect((await place.workers()).reduce((sum, { requests }) => sum + requests, 0)).toBe(2);
  });

  test("workers: a worker that nobody waits for any more is still busy", async () => {
    using place = new Place();
    await using server = await place.start("--workers", "1");
    const leaving = new AbortController();
    const left = server.fetch("/hold/a", { signal: leaving.signal });
    await place.busy(1);
    leaving.abort();
    await expect(left).rejects.toThrow();
    await until(async () => (await place.workers())[0]?.doing[0]?.client_gone === true, "the client is gone");
    place.release("a");
    await place.busy(0);
  });

  test("workers: with threads, all that run", async () => {
    using place = new Place();
    await using server = await place.start("--workers", "1", "--threads", "3");
    const held = ["x", "y"].map((name) => server.fetch(`/hold/${name}`));
    const [worker] = await place.busy(2);
    expect(worker?.threads).toBe(3);
    expect(worker?.doing.map(({ target }) => target).sort()).toEqual(["/hold/x", "/hold/y"]);
    for (const name of ["x", "y"]) place.release(name);
    await Promise.all(held);
  });

  test("stats: how busy, and how requests wait", async () => {
    interface Stats {
      readonly workers_busy: number;
      readonly requests_waiting: number;
      readonly requests_waited: number;
      readonly longest_wait: number;
      readonly workers_target: number;
      readonly reloads: number;
    }
    using place = new Place();
    await using server = await place.start("--workers", "1");
    const stats = () => told<Stats>(place.socket, "show", "stats");
    expect(await stats()).toMatchObject({
      workers_busy: 0,
      requests_waiting: 0,
      requests_waited: 0,
      workers_target: 1,
    });
    const held = [server.fetch("/hold/a"), server.fetch("/hold/a"), server.fetch("/hold/a")];
    await until(async () => (await stats()).requests_waiting === 2, "two wait");
    expect((await stats()).workers_busy).toBe(1);
    place.release("a");
    await Promise.all(held);
    const after = await stats();
    expect(after).toMatchObject({ requests_waiting: 0, requests_waited: 2, reloads: 0 });
    expect(after.longest_wait).toBeGreaterThan(0);
  });

  test("all, listeners, config, help: for people and as JSON", async () => {
    using place = new Place();
    await using server = await place.start("--workers", "1", "--env", "SECRET=hunter2");
    expect((await ctl(place.socket, "show", "all")).out).toMatch(/^master +\d+\nweb workers +\d+ \d+\n\nPID +AGE/);
    expect((await ctl(place.socket, "show", "listeners")).out).toBe(`127.0.0.1:${server.port}  tcp\n`);
    const config = await told<object>(place.socket, "show", "config");
    expect(config).toMatchObject({ app: "app:app", workers: 1, control_socket: place.socket });
    expect(JSON.stringify(config)).not.toContain("hunter2");
    expect((await ctl(place.socket, "help")).out).toMatch(/^worker kill PID +Replaces a worker/m);
  });
});

describe("stack", () => {
  test("of a worker that waits, and of one that keeps the interpreter's lock", async () => {
    using place = new Place();
    await using server = await place.start("--workers", "2");
    const stuck = [server.fetch("/hold/a"), server.fetch("/stuck")].map((each) => each.catch(() => undefined));
    const busy = await place.busy(2);
    const pidOf = (target: string) => String(busy.find(({ doing }) => doing[0]?.target === target)?.pid);
    expect((await ctl(place.socket, "stack", pidOf("/stuck"))).out).toMatch(
      /re\/?[^\n]*in match\n.*app\.py", line 10 in app/s,
    );
    expect((await ctl(place.socket, "stack", pidOf("/hold/a"))).out).toMatch(/app\.py", line 8 in app/);
    // Once more: nothing is left of the first answer.
    const { stacks } = await told<{ stacks: { pid: number; text: string }[] }>(place.socket, "stack");
    expect(stacks.map(({ text }) => text.match(/in app\n/g)?.length)).toEqual([1, 1]);
    await server.stop("SIGINT");
    await Promise.all(stuck);
  });

  test("with threads: of each", async () => {
    using place = new Place();
    await using server = await place.start("--workers", "1", "--threads", "2");
    const held = server.fetch("/hold/a");
    const [worker] = await place.busy(1);
    const { out } = await ctl(place.socket, "stack", String(worker?.pid));
    expect(out.match(/^(Current thread|Thread) /gm)?.length).toBe(3);
    expect(out).toMatch(/app\.py", line 8 in app/);
    place.release("a");
    await held;
  });
});

describe("what changes something", () => {
  test("worker add, worker remove, scale", async () => {
    using place = new Place();
    await using _ = await place.start("--workers", "1");
    const count = (wanted: number) =>
      until(async () => {
        const workers = await place.workers();
        return workers.length === wanted && workers.every(({ state }) => state === "ready");
      }, `${wanted} workers`);
    expect(await told(place.socket, "worker", "add", "2")).toEqual({ added: 2, previous: 1, total: 3 } as never);
    await count(3);
    expect(await told(place.socket, "worker", "remove")).toEqual({ removed: 1, previous: 3, total: 2 } as never);
    await count(2);
    expect(await told(place.socket, "scale", "4")).toEqual({ previous: 2, total: 4 } as never);
    await count(4);
    // One always stays.
    expect(await told(place.socket, "worker", "remove", "9")).toEqual({ removed: 3, previous: 4, total: 1 } as never);
    await count(1);
  });

  test("worker kill: a successor starts, and the old one finishes what it has", async () => {
    using place = new Place();
    await using server = await place.start("--workers", "1");
    const held = server.fetch("/hold/a");
    const [before] = await place.busy(1);
    expect(await told(place.socket, "worker", "kill", String(before?.pid))).toMatchObject({ success: true });
    const answer = await server.fetch("/");
    const other = await answer.text();
    expect(other).not.toBe(String(before?.pid));
    expect((await place.workers()).map(({ state }) => state).sort()).toEqual(["draining", "ready"]);
    place.release("a");
    expect(await (await held).text()).toBe(String(before?.pid));
    await until(async () => (await place.workers()).length === 1, "the old one has left");
    expect((await place.workers())[0]?.pid).toBe(Number(other));
  });

  test("reload, reopen, shutdown", async () => {
    using place = new Place();
    const server = await place.start("--workers", "1");
    place.write("app.py", app.replace("str(os.getpid()).encode()", 'b"new"'));
    await told(place.socket, "reload");
    await server.logged(/reloaded: generation 2 serves/);
    await until(async () => (await (await server.fetch("/")).text()) === "new", "the new code answers");
    expect(await told<object>(place.socket, "show", "stats")).toMatchObject({ reloads: 1 });
    expect(await told(place.socket, "reopen")).toEqual({ status: "reopening" } as never);
    expect(await told(place.socket, "shutdown")).toEqual({ status: "shutting_down", mode: "graceful" } as never);
    expect(await server.process.exited).toBe(0);
  });
});

describe("the socket", () => {
  test("is its owner's alone, and is gone at the end", async () => {
    using place = new Place();
    const server = await place.start();
    const status = lstatSync(place.socket);
    expect([status.isSocket(), status.mode & 0o777]).toEqual([true, 0o600]);
    await server.stop();
    expect(lstatSync(place.socket, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("one that a killed server has left behind is replaced; one in use, and a file, are not", async () => {
    using place = new Place();
    {
      const killed = await place.start();
      killed.process.kill("SIGKILL");
      await killed.process.exited;
    }
    await using first = await place.start();
    await using second = await place.start();
    await second.logged(/WARNING\] no control socket at .*: another server has it/);
    expect(await told<object>(place.socket, "show", "stats")).toMatchObject({ pid: first.pid });
    await second.stop();
    expect(await told<object>(place.socket, "show", "stats")).toMatchObject({ pid: first.pid });
    await first.stop();
    place.write("control", "precious");
    await using third = await place.start();
    await third.logged(/no control socket at .*: there is a file that is no socket/);
    expect((await third.fetch("/")).status).toBe(200);
  });

  test("who does not speak its language is told so, or shown out", async () => {
    using place = new Place();
    await using _ = await place.start();
    const say = (bytes: Buffer) =>
      new Promise<string>((resolve) => {
        let text = "";
        const socket = connect(place.socket, () => socket.end(bytes));
        socket.on("data", (data) => (text += data.toString("latin1", 4)));
        socket.on("error", () => {});
        socket.on("close", () => resolve(text));
      });
    const framed = (text: string) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(text.length);
      return Buffer.concat([length, Buffer.from(text)]);
    };
    expect(await say(framed("nonsense"))).toBe('{"id":null,"status":"error","error":"Empty command"}');
    expect(await say(framed('{"id":7,"command":"show","args":["dirty"]}'))).toBe(
      '{"id":7,"status":"ok","data":{"enabled":false,"pid":null,"workers":[],"apps":[]}}',
    );
    expect(await say(Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toBe("");
    expect(await told<object>(place.socket, "show", "stats")).toMatchObject({ reloads: 0 });
  });

  test.each([
    [["dance"], 1, 'Unknown command: dance ("help" lists them)'],
    [["show", "everything"], 1, "Unknown command: show everything"],
    [["worker", "kill", "1"], 1, "Worker 1 not found"],
    [["worker", "add", "many"], 1, '"many" is not a whole number'],
    [["worker", "kill"], 1, "is not a whole number"],
    [["reload", "now"], 1, "Usage: reload"],
    [["shutdown", "somehow"], 1, '"somehow" is not graceful or quick'],
    [[], 2, "say what you want to know"],
    [["--loudly", "reload"], 2, "there is no option --loudly"],
  ])("a mistake is one line: %j", async (words, code, line) => {
    using place = new Place();
    await using _ = await place.start("--workers", "1");
    const said = await ctl(place.socket, ...words);
    expect(said.err).toContain(line);
    expect(said.err.trim().split("\n")).toHaveLength(1);
    expect(said.code).toBe(code);
  });

  test("nobody there; --help", async () => {
    using directory = new Directory();
    const said = await ctl(join(directory.path, "nothing"), "reload");
    expect([said.code, said.err]).toEqual([1, expect.stringMatching(/^alicorn ctl: nobody answers at .*nothing: /)]);
    const help = await ctl("", "--help");
    expect(help.out).toMatch(/^ {2}worker kill PID$/m);
    const other = Bun.spawnSync([join(root, "bin/alicorn"), "--help"]);
    expect(other.stdout.toString()).toContain("alicorn ctl COMMAND");
  });
});

test("control_socket in nginx.conf", async () => {
  using place = new Place();
  const text = (port: number) => `
daemon off;
user root;
pid nginx.pid;
control_socket ${place.socket} mode=660;
events {}
http {
  app one { module app:app; chdir ${place.path}; workers 1; }
  app two { module app:app; chdir ${place.path}; workers 2; }
  server { listen 127.0.0.1:${port}; location / { app_pass one; } location /two { app_pass two; } }
}`;
  await using _ = await NginxServer.start(text);
  await until(async () => (await ctl(place.socket, "show", "workers")).code === 0, "it answers");
  expect(lstatSync(place.socket).mode & 0o777).toBe(0o660);
  await until(async () => (await place.workers()).length === 3, "three workers");
  expect((await ctl(place.socket, "scale", "3")).err).toContain("there must be one application");
});
