/** --reload: a saved source file is what answers next; nobody sees an error that is not in the code. */

import { expect, test } from "bun:test";
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Load } from "../support/load.ts";
import { Directory, Server, until } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { Gate, get, once, python, response } from "./support.ts";

/** An application that answers with `says`, and runs `first` when it is imported. */
const source = (says: string, first = ""): string => `
${first}
def app(environ, start_response):
    body = ${JSON.stringify(says)}.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
`;

const start = (project: Directory, ...options: string[]): Promise<Server> =>
  Server.start(["--reload", "--python", python, "--chdir", project.path, ...options, "app:app"], {
    // As with users: compiled files are kept, which know their source by its size and the second of its last change.
    env: { PYTHONDONTWRITEBYTECODE: "" },
  });
const answer = async (server: Server): Promise<string> => (await server.fetch("/")).text();
const shows = (server: Server, text: string): Promise<void> =>
  until(async () => (await answer(server)) === text, `the answer is ${text}`);

test("a saved file answers in well under a second, again and again, and never with an error", async () => {
  using project = new Directory({ "app.py": source("0") });
  await using server = await start(project);
  expect(await answer(server)).toBe("0");
  const took: number[] = [];
  // All of one length, and several within a second: Python's own cache of compiled files would not notice.
  for (const version of "12345") {
    project.write("app.py", source(version));
    const saved = performance.now();
    await until(async () => {
      const got = await server.fetch("/");
      expect(got.status).toBe(200);
      return (await got.text()) === version;
    }, `the answer is ${version}`);
    took.push(performance.now() - saved);
  }
  // The median: that a busy machine is slow once is not ours.
  expect(took.sort((a, b) => a - b)[2]).toBeLessThan(700);
});

test("a request that arrives meanwhile waits, and is answered by the new code", async () => {
  using project = new Directory({ "app.py": source("old") });
  using gate = new Gate(project, "gate");
  await using server = await start(project);
  const wait = `import sys\nprint("importing", file=sys.stderr, flush=True)\nopen(${JSON.stringify(gate.path)}, "rb", 0).read(1)`;
  project.write("app.py", source("new", wait));
  await server.logged(/^importing$/m);
  using waiting = await Client.open(server.port);
  waiting.send(get("/1"));
  const others = Array.from({ length: 10 }, () => once(server.port, get("/2")));
  using posting = await Client.open(server.port);
  posting.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
  // Static files and refusals need no Python: an answer shows that the web side is past our requests.
  expect((await once(server.port, "GET / HTTP/1.1\r\n\r\n")).status).toBe(400);
  expect(waiting.received).toBe("");
  gate.release();
  expect((await response(waiting)).body).toBe("new");
  expect((await response(posting)).body).toBe("new");
  for (const { status, body } of await Promise.all(others)) expect([status, body]).toEqual([200, "new"]);
});

test("a request that runs when the file is saved is finished by the code that began it", async () => {
  using project = new Directory();
  using gate = new Gate(project, "gate");
  const slow = (says: string) => `
def app(environ, start_response):
    environ["wsgi.errors"].write("running\\n")
    if environ["PATH_INFO"] == "/slow":
        open(${JSON.stringify(gate.path)}, "rb", 0).read(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"${says}"]
`;
  project.write("app.py", slow("old"));
  await using server = await start(project);
  using client = await Client.open(server.port);
  client.send(get("/slow"));
  await server.logged(/^running$/m);
  project.write("app.py", slow("new"));
  await server.logged(/app\.py has changed/);
  await shows(server, "new");
  gate.release();
  expect((await response(client)).body).toBe("old");
});

test("under load no request fails and none is lost", async () => {
  using project = new Directory({ "app.py": source("0") });
  await using server = await start(project);
  const load = new Load(server.port, { clients: 8 });
  await load.more(50);
  for (const version of ["1", "2"]) {
    project.write("app.py", source(version));
    await shows(server, version);
    await load.more(50);
  }
  await load.stop();
  expect([load.lost, [...load.answers.keys()]]).toEqual([0, [200]]);
  expect([...load.bodies].sort()).toEqual(["0", "1", "2"]);
});

test("an import error is in the browser and in the terminal; the next save recovers", async () => {
  using project = new Directory({ "app.py": source("good") });
  await using server = await start(project);
  for (const [broken, says] of [
    ["def app(<:\n", /app\.py", line 1[\s\S]*SyntaxError/],
    [
      'import os\nraise ValueError("a <b>bold</b> mistake")\n',
      /app\.py", line 2[\s\S]*ValueError: a <b>bold<\/b> mistake/,
    ],
    ["import a_module_to_come\napp = a_module_to_come.app\n", /No module named 'a_module_to_come'/],
  ] as const) {
    const from = server.output.length;
    project.write("app.py", broken);
    await server.logged(says, from);
    await until(async () => (await server.fetch("/any/path")).status === 500, "the error shows");
    const page = await server.fetch("/any/path", { method: "POST", body: "x" });
    expect([page.status, page.headers.get("content-type")]).toEqual([500, "text/html; charset=utf-8"]);
    expect(page.headers.get("cache-control")).toBe("no-store");
    const text = await page.text();
    expect(text).not.toContain("<b>bold");
    const plain = text
      .replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">")
      .replaceAll("&quot;", '"')
      .replaceAll("&#x27;", "'");
    expect(plain).toMatch(says);
    expect(plain).not.toMatch(/python\/alicorn|importlib/);
    project.write("app.py", source("good again"));
    await shows(server, "good again");
  }
  // The module that was missing arrives.
  project.write("app.py", "import a_module_to_come\napp = a_module_to_come.app\n");
  await until(async () => (await server.fetch("/")).status === 500, "the error shows");
  project.write("a_module_to_come.py", source("arrived"));
  await shows(server, "arrived");
});

test("what cannot be loaded from the start is served as an error too, until it is corrected", async () => {
  using project = new Directory({ "app.py": 'raise ValueError("from the start")\n' });
  await using server = await start(project);
  const page = await server.fetch("/");
  expect([page.status, await page.text()]).toEqual([500, expect.stringContaining("from the start")]);
  await server.logged(/ValueError: from the start/);
  project.write("app.py", source("corrected"));
  await shows(server, "corrected");
});

test("all ways to save: renamed over, removed and made anew, in a package, in a module loaded late", async () => {
  using project = new Directory({
    "package/__init__.py": "",
    "package/words.py": 'word = "one"\n',
    "app.py": `
def app(environ, start_response):
    from package import words
    body = words.word.encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
`,
  });
  await using server = await start(project);
  expect(await answer(server)).toBe("one");
  const file = join(project.path, "package/words.py");

  // Modules that are imported by a request are found within a second; a change until then is found as well.
  project.write("package/words.py", 'word = "two"\n');
  await shows(server, "two");

  renameSync(project.write("package/.words.swp", 'word = "three"\n'), file);
  await shows(server, "three");

  rmSync(file);
  project.write("package/words.py", 'word = "four"\n');
  await shows(server, "four");
});

test("what is no source of the application restarts nothing", async () => {
  using project = new Directory({ "app.py": source("same", "import os\nprint('loaded', os.getpid(), flush=True)") });
  await using server = await start(project);
  project.write("notes.txt", "text");
  project.write("data/db.sqlite3", "data");
  // What follows in the queue of the same watch: when this has had its effect, those have had theirs.
  const from = server.output.length;
  project.write("app.py", source("next", "import os\nprint('loaded', os.getpid(), flush=True)"));
  await shows(server, "next");
  expect(server.output.slice(from).match(/has changed/g)).toHaveLength(1);
  expect(server.output.match(/^loaded/gm)).toHaveLength(2);
});

test("one worker, whatever --workers says, with threads if wanted", async () => {
  using project = new Directory({ "app.py": source("1") });
  await using server = await start(project, "--workers", "3", "--threads", "4");
  expect(server.output).toMatch(/ 1 worker × 4 threads/);
  project.write("app.py", source("2"));
  await shows(server, "2");
});
