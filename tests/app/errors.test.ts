/** What a user does wrong: each mistake has its short message and its exit code. And what is found without being said. */

import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { version } from "../../src/master/version.ts";
import { Directory, root, Server } from "../support/server.ts";
import { python } from "./support.ts";

const program = join(root, "bin/alicorn");

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Runs a command that is to end by itself. */
async function ended(command: readonly string[], { cwd = root, env = {} }: RunOptions = {}): Promise<Ended> {
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, VIRTUAL_ENV: undefined, NO_COLOR: undefined, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 20_000,
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

const project = new Directory({
  "good.py": `
import json, os, sys
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"prefix": sys.prefix, "env": dict(os.environ), "cwd": os.getcwd(), "path": sys.path[0]}).encode()]
not_callable = 3
def make(*args, **named):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"args": args, "named": named}).encode()]
    return application
def make_nothing():
    pass
def make_trouble():
    raise LookupError("no such luck")
class Holder:
    inner = staticmethod(app)
`,
  "misspelt.py": "applicaton = lambda environ, start_response: []\n",
  "broken.py": 'def helper():\n    raise ValueError("broken on purpose")\n\n\nhelper()\n',
  "wrong_syntax.py": "x = 1\ndef app(:\n",
  "needy.py": "import a_package_that_nobody_has\n",
  "ending.py": "import sys\nsys.exit(5)\n",
  a_file: "",
});
afterAll(() => project[Symbol.dispose]());

const alicorn = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
  ended([program, ...args], { cwd: project.path, ...options });
/** Where nothing else is wrong: a free port, this Python. */
const serve = (...args: string[]): Promise<Ended> => alicorn(["--bind", "127.0.0.1:0", "--python", python, ...args]);

describe("an application that cannot be loaded", () => {
  for (const [app, code, message] of [
    ["nope:app", 3, /there is no module `nope` in .*--chdir/],
    ["goood:app", 3, /there is no module `goood` .*did you mean `good`\?/],
    ["good.py", 3, /good\.py is a file, .*did you mean `good:app`\?/],
    ["good.deeper:app", 3, /there is no module `good\.deeper`|'good' is not a package/],
    ["misspelt", 4, /module misspelt has no `application` and no `app`: did you mean `misspelt:applicaton`\?/],
    ["misspelt:app", 4, /module misspelt has no `app`: did you mean `misspelt:applicaton`\?/],
    ["good:Holder.outer", 4, /module good has no `Holder\.outer`/],
    ["good:not_callable", 4, /good:not_callable is of type int, which cannot be called/],
    ["good:not_callable()", 4, /good:not_callable is of type int, which cannot be called/],
    ["good:make_nothing()", 4, /good:make_nothing\(\) returned None instead of an application/],
    ["good:make(x)", 4, /must be literals/],
    ["good:", 4, /`good:` is not of the form MODULE:VARIABLE/],
    ["good:1+1", 4, /neither a name nor a call/],
  ] as const) {
    test(`${app}: code ${code}, one line`, async () => {
      const got = await serve(app);
      expect(got.code).toBe(code);
      expect(got.err).toMatch(message);
      expect(got.err).not.toMatch(/Traceback|\n +at |serves/);
      expect(got.out).toBe("");
    });
  }

  for (const [app, says] of [
    [
      "broken:app",
      /File ".*broken\.py", line 5, in <module>\n[\s\S]*line 2, in helper\n[\s\S]*ValueError: broken on purpose/,
    ],
    ["wrong_syntax:app", /File ".*wrong_syntax\.py", line 2\n[\s\S]*SyntaxError: /],
    [
      "needy:app",
      /needy\.py", line 1[\s\S]*No module named 'a_package_that_nobody_has'\n.*Is it installed for this Python\?/,
    ],
    ["ending:app", /ending\.py", line 2[\s\S]*SystemExit: 5\n.*ending ended the program while it was being imported/],
    ["good:make_trouble()", /in make_trouble\n[\s\S]*LookupError: no such luck/],
  ] as const) {
    for (const options of [["--workers", "2"], ["--preload"]]) {
      test(`${app} ${options.join(" ")}: code 3, the application's own traceback, once`, async () => {
        const got = await serve(...options, app);
        expect(got.code).toBe(3);
        expect(got.err).toMatch(says);
        expect(got.err.match(/^ *(\w+Error|SystemExit): /gm)).toHaveLength(1);
        // No frame but the user's.
        for (const [, file] of got.err.matchAll(/File "([^"]+)"/g)) expect(file).toStartWith(project.path);
        expect(got.err).not.toMatch(/\n +at |serves/);
      });
    }
  }
});

describe("options", () => {
  for (const [args, code, message] of [
    [[], 2, /name the application: alicorn MODULE\[:VARIABLE\]/],
    [["good", "more"], 2, /one application, please: what is more\?/],
    [["--threds", "3", "good"], 2, /there is no option --threds; did you mean --threads\?/],
    [["--workers", "0", "good"], 2, /--workers 0: must be a whole number from 1 on/],
    [["--workers", "many", "good"], 2, /--workers many: must be a whole number/],
    [["--workers"], 2, /--workers needs a value/],
    [["--reload=yes", "good"], 2, /--reload takes no value/],
    [["--log-level", "loud", "good"], 2, /--log-level loud: must be one of debug, info/],
    [["--bind", "example.org:80", "good"], 2, /"example\.org" is not an IP address/],
    [["--bind", "127.0.0.1:66000", "good"], 2, /a port is 0 to 65535/],
    [["--static", "here", "good"], 2, /--static here: write it as URL=DIR/],
    [["--env", "NAME", "good"], 2, /--env NAME: write it as KEY=VALUE/],
    [["--chdir", "/nowhere", "good"], 1, /--chdir \/nowhere: there is no such directory/],
    [["--chdir", "a_file", "good"], 1, /--chdir a_file: there is no such directory/],
    [["--static", "/s=/nowhere", "good"], 1, /--static \/nowhere: there is no such directory/],
    [["--python", "/nowhere/python", "good"], 1, /there is no Python at \/nowhere\/python/],
    [["--error-log", "/nowhere/log", "good"], 1, /--error-log \/nowhere\/log: cannot be opened/],
    [["--access-log", "/nowhere/log", "good"], 1, /--access-log \/nowhere\/log: cannot be opened/],
    [["--pid", "/nowhere/pid", "good"], 1, /--pid \/nowhere\/pid: its directory does not exist/],
    [
      ["--bind", "unix:/nowhere/sock", "good"],
      1,
      /cannot listen on unix:\/nowhere\/sock: its directory does not exist/,
    ],
    [["--bind", "unix:a_file", "good"], 1, /unix:.*a_file: there is a file of that name/],
    [["--bind", "192.0.2.1:0", "good"], 1, /192\.0\.2\.1:0: this machine does not have that address/],
    [["--bind", "fd://99", "good"], 1, /fd:\/\/99: that descriptor is not a listening socket/],
  ] as const) {
    test(`alicorn ${args.join(" ")}: code ${code}, one line`, async () => {
      const got = await alicorn(args.some((each) => each === "--bind") ? args : ["--bind", "127.0.0.1:0", ...args]);
      expect([got.code, got.err.match(/\n/g)?.length, got.out]).toEqual([code, 1, ""]);
      expect(got.err).toStartWith("alicorn: ");
      expect(got.err).toMatch(message);
    });
  }

  test("a port that another server has: one line, and the other one is left alone", async () => {
    await using other = await Server.start(["--python", python, "good:app"], { cwd: project.path });
    for (const args of [[], ["--check"]]) {
      const got = await alicorn(["--bind", `127.0.0.1:${other.port}`, "--python", python, ...args, "good:app"]);
      expect(got).toMatchObject({ code: 1, out: "" });
      expect(got.err).toMatch(/^alicorn: cannot listen on 127\.0\.0\.1:\d+: another program already does; .*--bind\n$/);
    }
    expect((await other.fetch("/")).status).toBe(200);
  });

  test("WEB_CONCURRENCY and PORT that are none", async () => {
    const workers = await alicorn(["good:app"], { env: { WEB_CONCURRENCY: "two" } });
    expect(workers).toMatchObject({ code: 1, err: expect.stringMatching(/^alicorn: WEB_CONCURRENCY=two: .*\n$/) });
    const port = await alicorn(["good:app"], { env: { PORT: "http" } });
    expect(port.code).toBeGreaterThan(0);
    expect(port.err).toMatch(/^alicorn: .*http.*\n$/);
  });

  test("--version, --help", async () => {
    expect(await alicorn(["--version"])).toEqual({ code: 0, out: `alicorn ${version}\n`, err: "" });
    const help = await alicorn(["--help"]);
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toMatch(/^usage: alicorn [\s\S]*--bind[\s\S]*--reload/);
  });
});

describe("--check", () => {
  test("all is well", async () => {
    const got = await serve("--check", "--workers", "2", "good:app");
    expect(got.code).toBe(0);
    expect(got.err).toContain("options, addresses and application are fine");
  });

  for (const [app, code, message] of [
    ["broken:app", 3, /line 2, in helper\n[\s\S]*ValueError: broken on purpose/],
    ["nope:app", 3, /there is no module `nope`/],
    ["good:nothing", 4, /module good has no `nothing`/],
  ] as const) {
    for (const options of [[], ["--preload"], ["--reload"]]) {
      test(`${[app, ...options].join(" ")}: code ${code}, and why`, async () => {
        const got = await serve("--check", ...options, app);
        expect(got.code).toBe(code);
        expect(got.err).toMatch(message);
        expect(got.err).not.toContain("are fine");
      });
    }
  }
});

describe("on a terminal", () => {
  const onTerminal = (args: string[], env: RunOptions["env"] = {}): Promise<Ended> => {
    const run = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    return ended([python, "-c", run, program, ...args], { cwd: project.path, env });
  };

  test("errors are in colour, except with NO_COLOR; elsewhere never", async () => {
    const coloured = await onTerminal(["--nope"]);
    expect(coloured.code).toBe(2);
    expect(coloured.out).toMatch(/^\x1b\[31malicorn:\x1b\[0m there is no option --nope/);
    expect((await onTerminal(["--nope"], { NO_COLOR: "1" })).out).toMatch(/^alicorn: there is no option --nope/);
    expect((await alicorn(["--nope"])).err).not.toContain("\x1b");
  });
});

describe("what is found without being said", () => {
  const start = (args: readonly string[], env: Record<string, string> = {}, ownBind = false): Promise<Server> =>
    Server.start(args, { cwd: project.path, env: { VIRTUAL_ENV: "", ...env }, ownBind });
  const report = async (
    server: Server,
  ): Promise<{ prefix: string; env: Record<string, string>; [key: string]: unknown }> =>
    (await (await server.fetch("/")).json()) as never;
  const virtualenv = (path: string): string => {
    const { exitCode, stderr } = Bun.spawnSync([python, "-m", "venv", "--without-pip", path]);
    if (exitCode !== 0) throw new Error(stderr.toString());
    return path;
  };

  test("the active virtualenv, then .venv in the application's directory; --python before both", async () => {
    using elsewhere = new Directory({ "good.py": await Bun.file(join(project.path, "good.py")).text() });
    const active = virtualenv(join(elsewhere.path, "active"));
    const beside = virtualenv(join(elsewhere.path, ".venv"));
    const args = ["--workers", "1", "--chdir", elsewhere.path, "good:app"];
    await using first = await start(args, { VIRTUAL_ENV: active });
    expect((await report(first)).prefix).toBe(active);
    expect(first.output).toContain(join(active, "bin/python"));
    await using second = await start(args);
    expect((await report(second)).prefix).toBe(beside);
    await using third = await start(["--python", python, ...args], { VIRTUAL_ENV: active });
    expect((await report(third)).prefix).toBe(join(root, "tests/.venv"));
  });

  test("--chdir: working directory and first in the import path", async () => {
    await using server = await Server.start(["--python", python, "--chdir", project.path, "good:app"]);
    expect(await report(server)).toMatchObject({ cwd: project.path, path: project.path });
  });

  test("the variable: application, then app; one within another; a factory with arguments", async () => {
    await using plain = await start(["--python", python, "--workers", "1", "good"]);
    expect((await plain.fetch("/")).status).toBe(200);
    await using inner = await start(["--python", python, "--workers", "1", "good:Holder.inner"]);
    expect((await inner.fetch("/")).status).toBe(200);
    await using made = await start(["--python", python, "--workers", "1", "good:make()"]);
    expect(await (await made.fetch("/")).json()).toEqual({ args: [], named: {} });
    await using told = await start(["--python", python, "--workers", "1", "good:make('a', 2, debug=True)"]);
    expect(await (await told.fetch("/")).json()).toEqual({ args: ["a", 2], named: { debug: true } });
  });

  test("--env: for the application, before it is imported; nothing of ours is in its environment", async () => {
    const args = ["--python", python, "--env", "SETTING=a=b", "-e", "OTHER=", "good:app"];
    await using server = await start(args, { SETTING: "outside" });
    const { env } = await report(server);
    expect(env).toMatchObject({ SETTING: "a=b", OTHER: "" });
    expect(Object.keys(env).filter((name) => /^(NODE_CHANNEL|ALICORN|BUN)/.test(name))).toEqual([]);
  });

  test("WEB_CONCURRENCY says how many workers; --workers before it", async () => {
    await using three = await start(["--python", python, "good:app"], { WEB_CONCURRENCY: "3" });
    await three.logged(/ 3 workers/);
    await using one = await start(["--python", python, "-w1", "good:app"], { WEB_CONCURRENCY: "3" });
    await one.logged(/ 1 worker,/);
  });

  test("PORT says where, on all addresses; --bind before it", async () => {
    await using all = await start(["--python", python, "good:app"], { PORT: "0" }, true);
    expect((await all.fetch("/")).status).toBe(200);
    const listening = Bun.spawnSync(["ss", "-Hltn", `sport = :${all.port}`]).stdout.toString();
    if (listening !== "") expect(listening).toContain(`0.0.0.0:${all.port}`);
    await using bound = await start(["--python", python, "good:app"], { PORT: String(all.port) });
    expect((await bound.fetch("/")).status).toBe(200);
    expect(bound.port).not.toBe(all.port);
  });
});
