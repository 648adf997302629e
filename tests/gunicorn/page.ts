/** docs/gunicorn.md: every setting, hook and signal of Gunicorn's, what becomes of it here, and the test that shows it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunicornSignals } from "../../src/cli/gunicorn_signals.ts";
import { root } from "../support/server.ts";

interface Row {
  readonly name: string;
  readonly section: string;
  readonly flags: readonly string[];
  readonly default: unknown;
  readonly summary: string;
  readonly note: string;
}

/** A file under tests/gunicorn, and the title of a test in it. */
type Shown = readonly [
  file: "command_line" | "control" | "hooks" | "http" | "life" | "logging" | "tls" | "workers" | "../app/worker_life",
  title: string,
];

const many: Shown = ["http", "%s lets pass what is refused or dropped without it"];
const limits: Shown = ["http", "limits: at the limit it passes, above it does not"];
const proxied: Shown = [
  "http",
  "the PROXY protocol: the client's address, on each request of the connection; it may be left out",
];
const surroundings: Shown = ["command_line", "chdir, pythonpath and raw_env are the application's surroundings"];
const checked: Shown = ["command_line", "check_config loads the application, print_config shows the settings"];
const life: Shown = ["hooks", "a life, from on_starting to on_exit"];
const reloaded: Shown = ["life", "reload_engine %s: a saved file, or one that is named, restarts the workers"];
const captured: Shown = ["logging", "capture_output and the error log; loglevel"];
const statsd: Shown = ["logging", "StatsD: requests, statuses, durations, workers and log lines"];
const syslog: Shown = ["logging", "syslog: both logs, with tag and facility"];
const aborted: Shown = ["hooks", "a worker that is stuck: worker_abort, then its end; the log shows where it was"];
const pids: Shown = ["life", "a pid file; a second server with the same one is refused; a port in use"];
const daemon: Shown = [
  "life",
  "a daemon: the command returns when it serves; WINCH lets the workers leave, HUP brings them back",
];
const upgrade: Shown = [
  "life",
  "USR2: a second master with pid file .2 beside the first; when that leaves, it takes the name",
];
const accepted: Shown = ["command_line", "what has no effect here is accepted, and said"];
const other: Shown = ["life", "workers as another user and group"];
const https: Shown = ["tls", "HTTPS: the address says so, and the application knows it"];
const clientCertificates: Shown = ["tls", "cert_reqs %s"];
const noEffect: Shown = ["tls", "what has no effect is accepted, and said"];
const h2: Shown = [
  "tls",
  "http_protocols: HTTP/2 for clients that choose it; http2_cleartext: for those that begin with it",
];
const control: Shown = ["control", "gunicornc finds it where Gunicorn's would be"];
const uwsgi: Shown = ["http", "the uwsgi protocol"];

/** Settings that more than the tests of the table itself show (python/tests/test_settings.py). */
const tests: Readonly<Record<string, Shown>> = {
  config: ["command_line", "a configuration is a module, or a file with another name; wsgi_app names the application"],
  wsgi_app: [
    "command_line",
    "a configuration is a module, or a file with another name; wsgi_app names the application",
  ],
  bind: ["life", "several binds, a Unix socket with its mode; the file is gone at the end"],
  umask: ["life", "several binds, a Unix socket with its mode; the file is gone at the end"],
  workers: ["life", "HUP with another bind and more workers"],
  worker_class: ["hooks", "a subclass of a worker class: what it overrides is called, and can call what it replaces"],
  threads: ["life", "threads: as many requests at once"],
  worker_connections: ["workers", "gevent: requests run in greenlets, as many at once as worker_connections"],
  max_requests: ["life", "max_requests: a worker is replaced, and no request is lost"],
  max_requests_jitter: ["life", "max_requests: a worker is replaced, and no request is lost"],
  timeout: aborted,
  keepalive: ["http", "keepalive: a connection serves further requests, or none"],
  limit_request_line: limits,
  limit_request_fields: limits,
  limit_request_field_size: limits,
  reload: reloaded,
  reload_engine: reloaded,
  reload_extra_files: reloaded,
  spew: ["workers", "spew prints every line"],
  check_config: checked,
  print_config: checked,
  preload_app: ["life", "preload: the application is loaded once, and HUP loads it anew all the same"],
  chdir: surroundings,
  pythonpath: surroundings,
  raw_env: surroundings,
  daemon,
  pidfile: pids,
  worker_tmp_dir: accepted,
  http2_max_frame_size: accepted,
  user: other,
  group: other,
  secure_scheme_headers: ["http", "the scheme: trusted peers say it, and must agree with themselves"],
  forwarded_allow_ips: ["http", "the scheme: trusted peers say it, and must agree with themselves"],
  paste: ["workers", "paste without PasteDeploy says what is missing"],
  proxy_protocol: proxied,
  proxy_allow_ips: proxied,
  protocol: uwsgi,
  uwsgi_allow_ips: uwsgi,
  permit_obsolete_folding: many,
  strip_header_spaces: many,
  permit_unconventional_http_method: many,
  permit_unconventional_http_version: many,
  casefold_http_method: many,
  header_map: many,
  forwarder_headers: ["http", "fields with underscores: dropped, refused, or a trusted proxy's"],
  accesslog: ["logging", "the default format; a rejected request is logged too; no value can end the line"],
  access_log_format: ["logging", "atoms, written by the web side"],
  errorlog: captured,
  loglevel: captured,
  capture_output: captured,
  logger_class: ["logging", "a logger class of the user's; the loggers that Flask applications borrow handlers from"],
  logconfig_dict: ["logging", "logconfig_dict: the access log goes through the user's own handlers and formatter"],
  logconfig_json: ["workers", "logconfig and logconfig_json"],
  logconfig: ["workers", "logconfig and logconfig_json"],
  syslog,
  syslog_addr: syslog,
  syslog_prefix: syslog,
  syslog_facility: syslog,
  statsd_host: statsd,
  statsd_prefix: statsd,
  dogstatsd_tags: statsd,
  proc_name: life,
  certfile: https,
  keyfile: https,
  cert_reqs: clientCertificates,
  ca_certs: clientCertificates,
  ciphers: ["tls", "ciphers: the client's choice is among them"],
  ssl_version: noEffect,
  suppress_ragged_eofs: noEffect,
  do_handshake_on_connect: noEffect,
  ssl_context: ["tls", "what it asks of the default context counts"],
  http_protocols: h2,
  http2_cleartext: h2,
  control_socket: control,
  control_socket_mode: ["control", "another path, another mode, none"],
  control_socket_disable: ["control", "another path, another mode, none"],
  enable_backlog_metric: ["logging", "StatsD: busy workers, and requests that wait for one"],
  max_worker_memory: ["../app/worker_life", "%s: a worker that has grown is replaced, the other stays"],
  max_worker_age: ["../app/worker_life", "%s: all are replaced, one after the other"],
  max_request_time: [
    "../app/worker_life",
    "%s: the worker in which a request is stuck is replaced, what else it runs is finished",
  ],
  client_disconnected: ["../app/worker_life", "%s: says when the client is gone"],
  request_start: ["../app/worker_life", "%s: X-Request-Start says when the request arrived"],
  on_starting: life,
  when_ready: life,
  pre_fork: life,
  post_fork: life,
  post_worker_init: life,
  pre_request: life,
  post_request: life,
  child_exit: life,
  worker_exit: life,
  nworkers_changed: life,
  on_exit: life,
  on_reload: ["hooks", "a reload: on_reload in place of on_starting, and what TTIN had added is gone"],
  worker_int: ["hooks", "a quick end: worker_int"],
  worker_abort: aborted,
  pre_exec: upgrade,
};

const signals: readonly (readonly [name: string, what: string, shown: Shown])[] = [
  ["TERM", "Ends: what has been accepted is answered, within `graceful_timeout`.", life],
  ["INT, QUIT", "Ends at once.", ["hooks", "a quick end: worker_int"]],
  [
    "HUP",
    "Reads the settings and the application anew. The old workers serve until the new ones do; if these cannot, they stay.",
    ["life", "HUP: new code, new settings; a keep-alive client loses nothing"],
  ],
  ["TTIN, TTOU", "One worker more, one fewer.", life],
  ["USR1", "Opens the log files anew.", ["life", "USR1: log files are opened anew by all who write them"]],
  ["USR2", "Starts the program anew beside this one, with the same sockets.", upgrade],
  ["WINCH", "As a daemon: the workers leave, the master stays. Else nothing.", daemon],
  ["ABRT (to a worker)", "`worker_abort`, and its end: what `timeout` does.", aborted],
];

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");

function proof(shown: Shown | undefined): string {
  return shown === undefined
    ? "`python/tests/test_settings.py`"
    : `\`${shown[0].replace("../", "")}.test.ts\`: ${cell(shown[1])}`;
}

function settingRow({ name, flags, default: initial, summary, note }: Row): string {
  const value = initial === null ? "" : `\`${cell(JSON.stringify(initial))}\``;
  const words = flags.map((flag) => `\`${flag}\``).join(" ");
  const becomes = note === "" ? "works" : `accepted: ${cell(note)}`;
  return `| \`${name}\` | ${words} | ${value} | ${cell(summary)} | ${becomes} | ${proof(tests[name])} |`;
}

/** Hooks and signals that no test of the whole program shows: there must be none. */
export async function untested(): Promise<string[]> {
  const hooks = (await settingsTable()).filter(({ section, note }) => section.endsWith("Hooks") && note === "");
  const listed = new Set(signals.flatMap(([names]) => names.replace(/ .*to a worker.*/, "").split(", ")));
  const known = Object.keys(gunicornSignals(true)).map((name) => name.slice("SIG".length));
  return [
    ...hooks.map(({ name }) => name).filter((name) => tests[name] === undefined),
    ...known.filter((name) => !listed.has(name)),
  ];
}

/** The tests that the page names: each must be there. */
export function missingTests(): string[] {
  const named = [...Object.values(tests), ...signals.map(([, , shown]) => shown)];
  return named
    .filter(([file, title]) => {
      const text = readFileSync(join(root, `tests/gunicorn/${file}.test.ts`), "utf8");
      return !text.includes(JSON.stringify(title));
    })
    .map((shown) => shown.join(": "));
}

async function settingsTable(): Promise<readonly Row[]> {
  const child = Bun.spawn(["python3", join(root, "python/alicorn"), "--settings-table"]);
  return JSON.parse(await new Response(child.stdout).text()) as readonly Row[];
}

/** The page; `npm run docs` writes it, and a test fails when it is stale. */
export async function gunicornPage(): Promise<string> {
  const rows = await settingsTable();
  const sections = [...new Set(rows.map(({ section }) => section))];
  const lines = [
    "# Gunicorn's command line",
    "",
    "`alicorn gunicorn …`, also as `bin/gunicorn …`, takes Gunicorn's command line, `gunicorn.conf.py`, `GUNICORN_CMD_ARGS` and",
    "`WEB_CONCURRENCY`, and means what Gunicorn documents (https://docs.gunicorn.org/). Made from a table: `npm run docs`.",
    "",
    "The configuration file is run by Python: once for the settings, and once in the arbiter, the process that forks workers; hooks that",
    "Gunicorn calls in its master are called there, and `server.pid` is the process to send signals to. HTTP is read by web workers, so",
    "`import gunicorn` in configurations and applications finds names made for this server (loggers, worker classes), whether Gunicorn is",
    "installed or not.",
    "",
    "## Where it is otherwise",
    "",
    "- Connections stay open with `sync` workers too: they belong to the web workers, and no idle or slow client occupies Python.",
    "- `timeout` answers 504, and the log shows the stack of the stuck worker. With threads it bounds silence, not requests, as in Gunicorn;",
    "  `max_request_time` (ours) bounds requests there: the log shows where one is stuck, a successor starts, the other threads of its worker",
    "  finish within `graceful_timeout`, and its client gets 504 at the end of that.",
    "- `max_worker_memory` and `max_worker_age` (ours) replace workers as `max_requests` does. Each draws limits up to a tenth below.",
    "- StatsD hears `gunicorn.workers.busy`, `gunicorn.requests.waiting` (with `enable_backlog_metric` also as `gunicorn.backlog`), and",
    "  `gunicorn.request.queue_time`: how long requests have waited for a free worker, ms.",
    "- HUP loads new code also with `preload_app`; what fails to load leaves the old workers serving.",
    "- `max_requests` replaces one worker after the other, and each only when its successor is ready.",
    "- A worker that ends again and again is started after growing pauses.",
    "- The access log is written by the web side, requests that were rejected included; where a logger of Python's is asked for",
    "  (`logconfig…`, `logger_class`, `syslog`, `statsd_host`), or an atom that only the application knows, by the worker.",
    "- TLS is the web side's: handshakes occupy no worker. Certificates are read at the start and at HUP, not for each connection. The hook",
    "  `ssl_context` is called when settings are read, and what it asks of the context is carried over: certificates, authorities, `verify_mode`,",
    "  versions, ciphers, curve, tickets. Without a certificate that `cert_reqs` wants, a client is answered 400 instead of being cut off.",
    "- HTTP/2 (`http_protocols` with `h2`, `http2_cleartext`) runs the requests of a connection at once.",
    "- Names of fields in `secure_scheme_headers` are compared without case; in Gunicorn those that are not in capitals mean nothing.",
    "- `post_request` finds status 500 in the response of a request that has failed before `start_response`.",
    "- `gunicorn.app.base` (programs that start the server themselves) cannot be used.",
    "",
    "## Worker classes",
    "",
    "`sync`; `gthread`, also as `sync` with `threads`; `gevent`, if it is installed (`gevent_wsgi` and `gevent_pywsgi` mean the same); the",
    "dotted path of a subclass of one of them. ASGI workers, Tornado's, eventlet's and aiohttp's are refused with a sentence that says why.",
    "",
    "## Control socket",
    "",
    "`alicorn ctl` and Gunicorn's `gunicornc` ask a running service over `control_socket`, and tell it what to do; see",
    "[deployment.md](deployment.md#looking-inside). A default path that cannot be had is passed over in silence; a server leaves",
    "another one's socket alone.",
    "",
    "## Signals",
    "",
    "| signal | | shown by |",
    "|---|---|---|",
    ...signals.map(([name, what, shown]) => `| ${name} | ${what} | ${proof(shown)} |`),
  ];
  for (const section of sections)
    lines.push(
      "",
      `## ${section}`,
      "",
      "| setting | flags | default | | here | shown by |",
      "|---|---|---|---|---|---|",
      ...rows.filter((row) => row.section === section).map(settingRow),
    );
  return `${lines.join("\n")}\n`;
}
