/** Gunicorn's command line, configuration file and environment: what counts, what is refused, and with which code. */
import { expect, test } from "bun:test";
import { place, run, start, text } from "./support.ts";

test("--version and --help answer at once", async () => {
  using directory = place();
  const version = await run(directory, ["--version"]);
  expect(version.code).toBe(0);
  expect(version.out).toMatch(/^gunicorn \(version \d+\.\d+\.\d+\)\nalicorn version: \d/);
  const help = await run(directory, ["-h"]);
  expect(help.code).toBe(0);
  expect(help.out).toContain("--worker-connections INT");
});

test.each([
  ["no application", [], 1, "Error: No application module specified."],
  ["a value of the wrong type", ["--workers", "x", "app:app"], 2, "argument -w/--workers: invalid int value: 'x'"],
  ["an ambiguous abbreviation", ["--work", "2", "app:app"], 2, "ambiguous option: --work could match --workers"],
  ["a negative number", ["--workers=-1", "app:app"], 1, "Error: Value must be positive: -1"],
  ["a file that is not there", ["-c", "no.py", "app:app"], 1, "Error: 'no.py' doesn't exist"],
  ["a value in the file", ["-c", "value.py", "app:app"], 1, "Invalid value for workers: a"],
  ["a file that is no Python", ["-c", "syntax.py", "app:app"], 1, "Failed to read config file: syntax.py"],
  ["a hook's arguments", ["-c", "hook.py", "app:app"], 1, "Error: Value must have an arity of: 1"],
  ["an unknown worker class", ["-k", "nonsense", "app:app"], 1, "class uri 'nonsense' invalid or not found"],
  ["an ASGI worker", ["-k", "uvicorn.workers.UvicornWorker", "app:app"], 1, "ASGI applications are not served yet"],
  ["an unknown user", ["--user", "no-such-user", "app:app"], 1, "Error: No such user: 'no-such-user'"],
  ["a port", ["-b", "127.0.0.1:x", "app:app"], 1, "Error: 'x' is not a valid port number."],
  ["a directory", ["--chdir", "/no/such", "app:app"], 1, "Error: can't chdir to '/no/such'"],
])("refused: %s", async (_, args, code, words) => {
  using directory = place({
    "value.py": 'workers = "a"\n',
    "syntax.py": "def x(:\n",
    "hook.py": "def on_starting(): pass\n",
  });
  const { code: found, err } = await run(directory, args);
  expect(err).toContain(words);
  expect(found).toBe(code);
});

test.each([
  ["a module that fails", "broken:app", 3, "RuntimeError: broken on purpose"],
  ["a module without the variable", "app:nothing", 4, "has no `nothing`"],
])("exit code of the application: %s", async (_, uri, code, words) => {
  using directory = place({ "broken.py": 'raise RuntimeError("broken on purpose")\n' });
  const { code: found, err } = await run(directory, ["-b", "127.0.0.1:0", uri]);
  expect(err).toContain(words);
  expect(err).toContain("Shutting down: Master");
  expect(found).toBe(code);
});

test("check_config loads the application, print_config shows the settings", async () => {
  using directory = place({ "broken.py": "import nothing_of_that_name\n" });
  expect((await run(directory, ["--check-config", "app:app"])).code).toBe(0);
  const broken = await run(directory, ["--check-config", "broken:app"]);
  expect(broken.code).toBe(1);
  expect(broken.err).toContain("nothing_of_that_name");
  const shown = await run(directory, ["--print-config", "-w", "3", "app:app"], { WEB_CONCURRENCY: "7" });
  expect(shown.code).toBe(0);
  expect(shown.out).toMatch(/^workers +(= 3)$/m);
  expect(shown.out.trim().split("\n").length).toBe(124);
});

test("the command line counts more than GUNICORN_CMD_ARGS, that more than the file, that more than the environment", async () => {
  using directory = place({ "gunicorn.conf.py": "workers = 2\nthreads = 2\ntimeout = 11\n" });
  const { out } = await run(directory, ["--print-config", "--threads", "4", "app:app"], {
    GUNICORN_CMD_ARGS: "--threads 3 --timeout=12",
    WEB_CONCURRENCY: "9",
    FORWARDED_ALLOW_IPS: "10.0.0.0/8",
    PORT: "8765",
  });
  expect(out).toMatch(/^workers +(= 2)$/m);
  expect(out).toMatch(/^threads +(= 4)$/m);
  expect(out).toMatch(/^timeout +(= 12)$/m);
  expect(out).toMatch(/^bind +(= \['0\.0\.0\.0:8765'\])$/m);
  expect(out).toMatch(/^forwarded_allow_ips +(= \['10\.0\.0\.0\/8'\])$/m);
});

test("a configuration is a module, or a file with another name; wsgi_app names the application", async () => {
  using directory = place({
    "settings/mine.py": 'wsgi_app = "app:app"\nraw_env = ["A=module"]\n',
    "settings/__init__.py": "",
  });
  await using server = await start(directory, ["-c", "python:settings.mine"]);
  expect(await text(server, "/env/A")).toBe("module");
  expect(await text(server, "/env/SERVER_SOFTWARE")).toStartWith("gunicorn/");
});

test("chdir, pythonpath and raw_env are the application's surroundings", async () => {
  using directory = place({ "deep/inner.py": "from helper import app\n", "lib/helper.py": "from app import app\n" });
  const path = `../lib,${directory.path}`;
  await using server = await start(directory, [
    "--chdir",
    "deep",
    "--pythonpath",
    path,
    "-e",
    "B=two words",
    "inner:app",
  ]);
  expect(await text(server, "/cwd")).toBe(`${directory.path}/deep`);
  expect(await text(server, "/env/B")).toBe("two words");
});

test("what has no effect here is accepted, and said", async () => {
  using directory = place();
  await using server = await start(directory, [
    "--worker-tmp-dir",
    "/dev/shm",
    "--http2-max-frame-size",
    "20000",
    "app:app",
  ]);
  await server.logged(/WARNING\] worker_tmp_dir: heartbeats are in shared memory/);
  await server.logged(/WARNING\] http2_max_frame_size: the web side has its own measure/);
});
