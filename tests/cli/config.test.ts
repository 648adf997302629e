/** `alicorn config APP …`: the configuration that a command line stands for, as a file that can be served and can grow. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { systemFiles } from "../../src/config/files.ts";
import { parseText } from "../../src/config/parser.ts";
import type { Statement } from "../../src/config/statement.ts";
import { fixture } from "../app/support.ts";
import { freePort, refuses } from "../support/nginx_server.ts";
import { Directory, root, Server, until } from "../support/server.ts";
import { ask } from "../support/socket.ts";

async function printed(...args: string[]): Promise<string> {
  const process = Bun.spawn([join(root, "bin/alicorn"), "config", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, code] = await Promise.all([
    new Response(process.stdout).text(),
    new Response(process.stderr).text(),
    process.exited,
  ]);
  expect([err, code]).toEqual(["", 0]);
  return out;
}

/** All statements of that name, as words. */
function named(statements: readonly Statement[], name: string): string[][] {
  return statements.flatMap((each) => [
    ...(each.name === name ? [[...each.args]] : []),
    ...named(each.block ?? [], name),
  ]);
}

const parsed = (text: string): readonly Statement[] =>
  parseText(Buffer.from(text).toString("latin1"), "printed.conf", systemFiles()).statements;

describe("what is printed", () => {
  test("options are directives", async () => {
    using directory = new Directory();
    const text = await printed(
      ...["--bind", "127.0.0.1:8123", "--bind", "unix:/tmp/x.sock", "--backlog", "100", "--keep-alive", "3"],
      ...["--workers", "3", "--threads", "4", "--web-workers", "5", "--timeout", "6", "--graceful-timeout", "7"],
      ...["--max-requests", "8", "--max-requests-jitter", "9", "--max-worker-memory", "300m", "--max-worker-age", "10"],
      ...["--max-request-time", "11"],
      ...[
        "--client-disconnected",
        "--request-start",
        "--control-socket",
        "/tmp/control",
        "--preload",
        "--chdir",
        directory.path,
      ],
      ...["--static", `/files=${directory.path}`, "--static-cache-control", "public, max-age=1"],
      ...["--access-log", "-", "--error-log", "/tmp/errors", "--log-level", "warning", "--pid", "/tmp/pid", "a.b:c"],
    );
    expect(text).toStartWith("# ");
    const statements = parsed(text);
    for (const [name, ...values] of [
      ["listen", ["127.0.0.1:8123", "backlog=100"], ["unix:/tmp/x.sock", "backlog=100"]],
      ["keepalive_timeout", ["3s"]],
      ["module", ["a.b:c"]],
      ["workers", ["3"]],
      ["threads", ["4"]],
      ["worker_processes", ["5"]],
      ["timeout", ["6"]],
      ["graceful_timeout", ["7"]],
      ["worker_shutdown_timeout", ["7000ms"]],
      ["max_requests", ["8"]],
      ["max_requests_jitter", ["9"]],
      ["max_worker_memory", ["314572800"]],
      ["max_worker_age", ["10"]],
      ["max_request_time", ["11"]],
      ["client_disconnected", ["on"]],
      ["app_request_start", ["on"]],
      ["control_socket", ["/tmp/control"]],
      ["preload", ["on"]],
      ["chdir", [directory.path]],
      ["files", [directory.path]],
      ["files_cache_control", ["public, max-age=1"]],
      ["location", ["/"], ["/files/"]],
      ["access_log", ["/dev/stdout"]],
      ["error_log", ["/tmp/errors", "warn"]],
      ["pid", ["/tmp/pid"]],
    ] as const)
      expect([name, named(statements, name)]).toEqual([name, values.map((each) => [...each])]);
  });

  test("a word stays the same word, whatever is in it", async () => {
    const values = [
      "A=b c",
      "QUOTES='\"",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: they are not JavaScript's.
      "DOLLAR=$x ${y} {z}",
      "END=;}#",
      "BACK=\\n\\",
      "CAFÉ=ü",
      "EMPTY=",
      "LINE=a\nb",
    ];
    const text = await printed(...values.flatMap((value) => ["--env", value]), "app:app");
    expect(named(parsed(text), "env")).toEqual(values.map((value) => [Buffer.from(value).toString("latin1")]));
  });

  test("files at / come before the application", async () => {
    const text = await printed("--static", `/=${root}/tests/apps/flask_site/static`, "app:app");
    const statements = parsed(text);
    expect([named(statements, "location"), named(statements, "app_pass")]).toEqual([[["/"]], [["app"]]]);
  });
});

describe("served as a file it behaves as the command line does", () => {
  const options = ["--workers", "1", "--web-workers", "1", "--static", `/static=${root}/tests/apps/flask_site/static`];
  const directory = new Directory();
  const port = freePort();
  let zero: Server;
  let file: Server;

  beforeAll(async () => {
    const log = (name: string) => ["--access-log", `${directory.path}/${name}.access`];
    zero = await Server.start(fixture("responses:app", ...options, ...log("zero")));
    const text = await printed("--bind", `127.0.0.1:${port}`, ...log("file"), ...fixture("responses:app", ...options));
    const path = directory.write("alicorn.conf", text);
    file = await Server.start(["nginx", "-c", path], { ownBind: true, early: true });
    await until(async () => !(await refuses(port)), "the port is open");
  });

  afterAll(async () => {
    await Promise.all([zero, file].map((each) => each[Symbol.asyncDispose]()));
    directory[Symbol.dispose]();
  });

  const requests = {
    "the application": "GET /whole HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
    "the application, in chunks": "GET /generator HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "… to HTTP/1.0": "GET /generator HTTP/1.0\r\n\r\n",
    "… without content": "GET /no_content HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "… a HEAD": "HEAD /measured HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "… a POST":
      "POST /whole HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nabc",
    "an exception": "GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "two on one connection":
      "GET /whole HTTP/1.1\r\nHost: a\r\n\r\nGET /written HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a file": "GET /static/style.css HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "… in part": "GET /static/style.css HTTP/1.1\r\nHost: a\r\nRange: bytes=0-4\r\nConnection: close\r\n\r\n",
    "… which the client has":
      "GET /static/style.css HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nConnection: close\r\n\r\n",
    "no such file": "GET /static/none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a directory without its slash": "GET /static HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "a path that leads out": "GET /static/../../x HTTP/1.1\r\nHost: a\r\n\r\n",
    "no Host": "GET / HTTP/1.1\r\n\r\n",
    "a bare LF": "GET / HTTP/1.1\nHost: a\n\n",
    "a method that nobody knows": "BREW /whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "no HTTP": "hello\r\n\r\n",
  } as const;

  // What differs from one moment to the next.
  const comparable = (response: string): string => response.replace(/^Date: .*\r\n/gm, "");

  for (const [name, request] of Object.entries(requests))
    test(name, async () => {
      const ofZero = comparable(await ask(zero.port, request));
      expect(ofZero).toStartWith("HTTP/1.1 ");
      expect(comparable(await ask(port, request))).toBe(ofZero);
    });

  test("its lines in the access log are the same", async () => {
    const lines = (which: string): string[] =>
      readFileSync(`${directory.path}/${which}.access`, "utf8")
        .replace(/\[[^\]]*\]/g, "[time]")
        .split("\n");
    const wanted = Object.keys(requests).length + 1;
    await until(() => [lines("zero"), lines("file")].every(({ length }) => length > wanted), "all requests are logged");
    expect(lines("file")).toEqual(lines("zero"));
  });

  test("so do the errors of requests, in Gunicorn's form with what tells the request from others", async () => {
    const told = (output: string): string[] =>
      [...output.matchAll(/\[\d+\] \[(\w+)\] \*\d+ (.*, client: 127\.0\.0\.1, server: .*)/g)].map(
        ([, level, message]) => `${level} ${message}`,
      );
    // The last request's.
    for (const server of [zero, file]) await server.logged(/, request: "hello"/);
    expect(told(file.output)).toEqual(told(zero.output));
    expect(told(zero.output).join("\n")).toMatch(/, request: "[^"]*"/);
  });
});
