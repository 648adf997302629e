/** The access log's atoms, Python's own logging, syslog and StatsD. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Directory, until } from "../support/server.ts";
import { listening, place, start, text } from "./support.ts";

const lines = (directory: Directory, name: string): string[] => {
  const path = join(directory.path, name);
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
};

const headers = {
  "User-Agent": 'quo"ted',
  Referer: "http://from/",
  Authorization: `Basic ${btoa("me:secret")}`,
  "X-In": "asked",
};

const format =
  '%(h)s %(l)s %(u)s "%(r)s" %(m)s %(U)s %(q)s %(H)s %(s)s %(b)s %(B)d "%(f)s" "%(a)s" %({x-in}i)s %({X-Says}o)s ' +
  "%({http_x_in}e)s %({no}i)s %(unknown)s 100%%";
const expected =
  '127.0.0.1 - me "GET /a%20b?c=d HTTP/1.1" GET /a b c=d HTTP/1.1 200 5 5 "http://from/" "quo\\"ted" asked so asked - - 100%';

test("atoms, written by the web side", async () => {
  using directory = place();
  const args = [
    "--access-logfile",
    "a.log",
    "--access-logformat",
    `${format} %(t)s %(T)s %(M)s %(D)s %(L)s %(p)s`,
    "app:app",
  ];
  await using server = await start(directory, args);
  const pid = await text(server, "/pid");
  await server.fetch("/a%20b?c=d", { headers });
  await until(() => lines(directory, "a.log").length === 2, "two lines");
  const line = lines(directory, "a.log")[1]!;
  expect(line.slice(0, expected.length)).toBe(expected);
  expect(line.slice(expected.length)).toMatch(
    new RegExp(`^ \\[\\d\\d/\\w{3}/\\d{4}:\\d\\d:\\d\\d:\\d\\d [+-]\\d{4}\\] 0 \\d+ \\d+ 0\\.\\d{6} <${pid}>$`),
  );
});

/** A key that only the application knows makes the application's side write it. */
test("the same atoms, written by Python", async () => {
  using directory = place();
  const args = [
    "--access-logfile",
    "a.log",
    "--access-logformat",
    `${format} %({wsgi.version}e)s %(D)s %(p)s`,
    "app:app",
  ];
  await using server = await start(directory, args);
  const pid = await text(server, "/pid");
  await server.fetch("/a%20b?c=d", { headers });
  await until(() => lines(directory, "a.log").length === 2, "two lines");
  const line = lines(directory, "a.log")[1]!;
  expect(line.slice(0, expected.length)).toBe(expected);
  expect(line.slice(expected.length)).toMatch(new RegExp(`^ \\(1, 0\\) \\d+ <${pid}>$`));
});

test("the default format; a rejected request is logged too; no value can end the line", async () => {
  using directory = place();
  await using server = await start(directory, ["--access-logfile", "-", "app:app"]);
  await server.fetch("/");
  await server.logged(/^127\.0\.0\.1 - - \[[^\]]+\] "GET \/ HTTP\/1\.1" 200 5 "-" "[^"]+"$/m);
  await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: {
      data() {},
      open: (socket) => void socket.write("GET /\x1b[2J HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    },
  });
  await server.logged(/" 400 \d+ "-" "-"$/m);
  expect(server.output).not.toContain("\x1b");
});

test("logconfig_dict: the access log goes through the user's own handlers and formatter", async () => {
  using directory = place({
    "gunicorn.conf.py": `
accesslog = "-"
logconfig_dict = {
    "version": 1,
    "formatters": {"mine": {"format": "MINE %(name)s %(message)s"}},
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "mine.log", "formatter": "mine"}},
    "loggers": {
        "gunicorn.access": {"level": "INFO", "handlers": ["file"], "propagate": False},
        "gunicorn.error": {"level": "INFO", "handlers": ["file"], "propagate": False},
    },
    "root": {"level": "INFO", "handlers": ["file"]},
}
`,
  });
  await using server = await start(directory, ["app:app"]);
  await server.fetch("/x");
  await until(
    () => lines(directory, "mine.log").some((line) => /^MINE gunicorn\.access .*"GET \/x /.test(line)),
    "a line",
  );
  expect(lines(directory, "mine.log").join("\n")).toContain("MINE gunicorn.error Booting worker with pid");
});

test("a logger class of the user's; the loggers that Flask applications borrow handlers from", async () => {
  using directory = place({
    "mine.py": `
from gunicorn.glogging import Logger

class Mine(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        self.info("set up by %s", type(self).__name__)
    def access(self, resp, req, environ, request_time):
        if req.path != "/health":
            super().access(resp, req, environ, request_time)
`,
    "borrowing.py": `
import logging
log = logging.getLogger("gunicorn.error")
def app(environ, start_response):
    start_response("200 OK", [])
    return [f"{len(log.handlers)} {log.level}".encode()]
`,
  });
  await using server = await start(directory, [
    "--logger-class",
    "mine.Mine",
    "--access-logfile",
    "a.log",
    "borrowing:app",
  ]);
  await server.logged(/set up by Mine/);
  await server.fetch("/health");
  expect(await text(server, "/seen")).toBe("1 20");
  await until(() => lines(directory, "a.log").length > 0, "a line");
  expect(lines(directory, "a.log").join("\n")).not.toContain("/health");
});

test("capture_output and the error log; loglevel", async () => {
  using directory = place();
  await using server = await start(
    directory,
    ["--log-file", "e.log", "--capture-output", "--log-level", "debug", "app:app"],
    { early: true },
  );
  await until(() => lines(directory, "e.log").some((line) => line.includes("Listening at")), "the address");
  const [, port] = /127\.0\.0\.1:(\d+)/.exec(lines(directory, "e.log").join("\n")) ?? [];
  await fetch(`http://127.0.0.1:${port}/print/captured`);
  await until(() => lines(directory, "e.log").includes("captured"), "what was printed");
  expect(lines(directory, "e.log").join("\n")).toMatch(/\[DEBUG\] GET \/print\/captured/);
  expect(server.output).not.toContain("captured");
});

test("StatsD: requests, statuses, durations, workers and log lines", async () => {
  using directory = place();
  await using _ = await listening(directory);
  const args = ["--statsd-host", "unix://datagrams", "--statsd-prefix", "mine", "--dogstatsd-tags", "a:b", "app:app"];
  await using server = await start(directory, args);
  await server.fetch("/");
  await server.fetch("/fail");
  const heard = () => lines(directory, "heard");
  await until(() => heard().includes("mine.gunicorn.request.status.500:1|c|@1.0|#a:b"), "the failure");
  expect(heard()).toContain("mine.gunicorn.workers:1|g|#a:b");
  expect(heard()).toContain("mine.gunicorn.requests:1|c|@1.0|#a:b");
  expect(heard()).toContain("mine.gunicorn.request.status.200:1|c|@1.0|#a:b");
  expect(heard()).toContain("mine.gunicorn.log.error:1|c|@1.0|#a:b");
  expect(heard().join("\n")).toMatch(/^mine\.gunicorn\.request\.duration:[\d.]+\|ms\|#a:b$/m);
});

test("StatsD: busy workers, and requests that wait for one", async () => {
  using directory = place();
  await using _ = await listening(directory);
  // Where memory is limited, it is looked at each second, and all this with it.
  const args = [
    "--statsd-host",
    "unix://datagrams",
    "--enable-backlog-metric",
    "--max-worker-memory",
    "10g",
    "app:app",
  ];
  await using server = await start(directory, args);
  expect(await text(server, "/")).toBe("hello");
  const running = [text(server, "/sleep/1.5"), text(server, "/sleep/0")];
  const heard = () => lines(directory, "heard");
  await until(() => heard().includes("gunicorn.requests.waiting:1|g"), "one waits");
  expect(heard()).toContain("gunicorn.workers.busy:1|g");
  expect(heard()).toContain("gunicorn.backlog:1|h");
  await Promise.all(running);
  const waited = () => heard().map((line) => Number(/^gunicorn\.request\.queue_time:([\d.]+)\|ms$/.exec(line)?.[1]));
  await until(() => waited().some((ms) => ms > 1000), "how long it has waited");
  await until(() => heard().includes("gunicorn.workers.busy:0|g"), "idle again");
});

test("syslog: both logs, with tag and facility", async () => {
  using directory = place();
  await using _ = await listening(directory);
  const args = ["--log-syslog", "--log-syslog-to", "unix://datagrams#dgram", "--log-syslog-facility", "local3"];
  await using server = await start(directory, [...args, "--log-syslog-prefix", "mine", "app:app"]);
  await server.fetch("/x");
  const heard = () => lines(directory, "heard").join("\n");
  await until(() => /gunicorn\.mine\.access: \[\d+\] 127\.0\.0\.1 .*"GET \/x /.test(heard()), "the access log");
  expect(heard()).toMatch(/^<158>gunicorn\.mine\.error: \[\d+\] Booting worker/m);
});
