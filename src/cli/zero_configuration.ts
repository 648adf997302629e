/** The configuration that `alicorn APP` stands for. The zero-configuration mode has no other: `alicorn config` prints it. */
import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import { formatAddress, parseAddress } from "../base/address.ts";
import type { LogLevel } from "../base/log.ts";
import type { Statement } from "../config/statement.ts";
import { StartError } from "../master/plan.ts";
import type { LocalCertificate } from "./local_certificate.ts";
import { type Given, UsageError } from "./options.ts";

/** More workers than this are a decision that the user makes, not the number of cores. */
const mostByDefault = 4;
const mostWebWorkers = 16;
/** Of a connection: closing one costs a client more than it saves. */
const unlimited = 1_000_000_000;
/** Of one web worker, where the limit of open files allows it. */
const mostConnections = 16_384;

const at = { file: "command line", line: 0 };

// Directives carry bytes as latin-1.
const bytes = (text: string): string => Buffer.from(text).toString("latin1");

function line(name: string, ...args: readonly (string | number)[]): Statement {
  return { name, args: args.map((each) => bytes(String(each))), at, block: undefined };
}

function block(name: string, args: readonly string[], statements: readonly (Statement | undefined)[]): Statement {
  return { name, args: args.map(bytes), at, block: statements.filter((each) => each !== undefined) };
}

/** `alicorn APP …` in Nginx's language. Throws UsageError, or StartError for what the machine does not have. */
export function zeroConfiguration(
  given: Given,
  positional: readonly string[],
  environment: NodeJS.ProcessEnv,
  local?: LocalCertificate,
): Statement[] {
  const [app, ...further] = positional;
  if (app === undefined)
    throw new UsageError("name the application: alicorn MODULE[:VARIABLE], for example alicorn app:app");
  if (further.length > 0) throw new UsageError(`one application, please: what is ${further[0]}?`);
  const accessLog = given.accessLog === undefined ? "off" : logFile(given.accessLog, "/dev/stdout");
  const statements: (Statement | undefined)[] = [
    process.getuid?.() === 0 ? line("user", "root") : undefined,
    line("worker_processes", Math.min(given.webWorkers ?? cores(), mostWebWorkers)),
    // 0 would mean: without a bound.
    line("worker_shutdown_timeout", `${Math.max(given.gracefulTimeout * 1000, 1)}ms`),
    line("error_log", logFile(given.errorLog, "/dev/stderr"), nginxLevels[given.logLevel]),
    line("error_log_style", "gunicorn"),
    given.pid === undefined ? undefined : line("pid", pidFile(given.pid)),
    given.controlSocket === undefined ? undefined : line("control_socket", resolve(given.controlSocket)),
    block("events", [], [line("worker_connections", mostConnections)]),
    block(
      "http",
      [],
      [
        line("access_log", accessLog),
        line("request_parsing", "strict"),
        line("server_tokens", "off"),
        line("absolute_redirect", "off"),
        line("keepalive_requests", unlimited),
        line("keepalive_timeout", `${given.keepAlive}s`),
        line("client_max_body_size", 0),
        line("client_body_buffer_size", "64k"),
        // A server in front may be who they are for.
        line("app_accel", "off"),
        given.requestStart ? line("app_request_start", "on") : undefined,
        block("app", ["app"], appSettings(app, given, environment)),
        block("server", [], [...listens(given, environment), ...security(given, local), ...locations(given)]),
      ],
    ),
  ];
  return statements.filter((each) => each !== undefined);
}

const cores = (): number => Math.min(availableParallelism(), mostByDefault);

const nginxLevels: Readonly<Record<LogLevel, string>> = {
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
  critical: "crit",
};

const logFile = (path: string, standard: string): string => (path === "-" ? standard : resolve(path));

function appSettings(app: string, given: Given, environment: NodeJS.ProcessEnv): (Statement | undefined)[] {
  for (const pair of given.env) if (!/^[^=]+=/.test(pair)) throw new UsageError(`--env ${pair}: write it as KEY=VALUE`);
  return [
    line("module", app),
    given.python === undefined
      ? undefined
      : line("python", given.python.includes("/") ? resolve(given.python) : given.python),
    line("chdir", directory(given.chdir ?? ".", "--chdir")),
    ...given.env.map((pair) => line("env", pair)),
    line("workers", given.reload ? 1 : (given.workers ?? concurrency(environment) ?? cores())),
    line("threads", given.threads),
    line("timeout", given.timeout),
    line("graceful_timeout", given.gracefulTimeout),
    line("max_requests", given.maxRequests),
    line("max_requests_jitter", given.maxRequestsJitter),
    line("max_worker_memory", given.maxWorkerMemory),
    line("max_worker_age", given.maxWorkerAge),
    line("max_request_time", given.maxRequestTime),
    line("client_disconnected", given.clientDisconnected ? "on" : "off"),
    line("preload", given.preload ? "on" : "off"),
    line("reload", given.reload ? "on" : "off"),
  ];
}

function listens(given: Given, { PORT }: NodeJS.ProcessEnv): Statement[] {
  const { bind, backlog } = given;
  if (bind.length === 0 && PORT !== undefined && !/^\d+$/.test(PORT))
    throw new StartError(`PORT=${PORT}: must be a number`);
  const texts = bind.length > 0 ? bind : [PORT === undefined ? "127.0.0.1:8000" : `0.0.0.0:${PORT}`];
  return texts.map((each) => {
    const address = parseAddress(each, 8000);
    if (typeof address === "string") throw new UsageError(`--bind ${address}`);
    const options = [...(isSecure(given) ? ["ssl"] : []), ...(address.kind === "fd" ? [] : [`backlog=${backlog}`])];
    return line("listen", formatAddress(address), ...options);
  });
}

export const isSecure = ({ certFile, https }: Given): boolean => certFile !== undefined || https !== undefined;

/** `local`: of `--https`. */
function security(given: Given, local: LocalCertificate | undefined): Statement[] {
  const { certFile, keyFile, https } = given;
  if (certFile !== undefined && https !== undefined)
    throw new UsageError("--https makes a certificate of its own: leave it out, or --certfile");
  if (keyFile !== undefined && certFile === undefined) throw new UsageError("--keyfile needs --certfile");
  const certificate = local?.certificate ?? (certFile === undefined ? undefined : resolve(certFile));
  if (certificate === undefined) return [];
  const key = local?.key ?? (keyFile === undefined ? certificate : resolve(keyFile));
  return [
    line("ssl_certificate", certificate),
    line("ssl_certificate_key", key),
    line("http2", "on"),
    // Who types the address without https.
    line("error_page", 497, "=301", "https://$http_host$request_uri"),
  ];
}

/** Gunicorn's WEB_CONCURRENCY, which platforms set. */
function concurrency({ WEB_CONCURRENCY: given }: NodeJS.ProcessEnv): number | undefined {
  if (given === undefined || given === "") return undefined;
  if (!/^[1-9]\d*$/.test(given)) throw new StartError(`WEB_CONCURRENCY=${given}: must be a whole number from 1 on`);
  return Number(given);
}

function directory(path: string, flag: string): string {
  const full = resolve(path);
  if (!isDirectory(full)) throw new StartError(`${flag} ${path}: there is no such directory`);
  return full;
}

function pidFile(path: string): string {
  const full = resolve(path);
  if (!isDirectory(dirname(full))) throw new StartError(`--pid ${path}: its directory does not exist`);
  return full;
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** The application gets what is no file. */
function locations(given: Given): Statement[] {
  const routes = given.static.map(staticRoute);
  const cacheControl =
    given.staticCacheControl === undefined ? undefined : line("files_cache_control", given.staticCacheControl);
  const files = routes.map(({ prefix, root }) =>
    block(
      "location",
      [prefix],
      [line("files", root), cacheControl, prefix === "/" ? line("app_pass", "app") : undefined],
    ),
  );
  return routes.some(({ prefix }) => prefix === "/")
    ? files
    : [block("location", ["/"], [line("app_pass", "app")]), ...files];
}

/** `--static URL=DIR` */
export function staticRoute(text: string): { readonly prefix: string; readonly root: string } {
  const equals = text.indexOf("=");
  const url = text.slice(0, equals);
  if (equals < 1 || !url.startsWith("/"))
    throw new UsageError(`--static ${text}: write it as URL=DIR, for example /static=./static`);
  return { prefix: url.endsWith("/") ? url : `${url}/`, root: directory(text.slice(equals + 1), "--static") };
}
