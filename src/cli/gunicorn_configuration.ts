/** What Gunicorn's settings mean for the web side, in Nginx's language: as if somebody had written it into nginx.conf. */
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { Statement } from "../config/statement.ts";
import type { BindAddress, GunicornSettings, TlsSettings } from "./gunicorn_settings.ts";

const mostWebWorkers = 4;
/** Of one web worker, where the limit of open files allows it. */
const mostConnections = 16_384;

const at = { file: "settings", line: 0 };

// Directives carry bytes as latin-1.
const bytes = (text: string): string => Buffer.from(text).toString("latin1");

function line(name: string, ...args: readonly (string | number)[]): Statement {
  return { name, args: args.map((each) => bytes(String(each))), at, block: undefined };
}

const flag = (name: string, value: boolean): Statement => line(name, value ? "on" : "off");

function block(name: string, args: readonly string[], statements: readonly (Statement | undefined)[]): Statement {
  return { name, args: args.map(bytes), at, block: statements.filter((each) => each !== undefined) };
}

/** `activated`: descriptors that a service manager has handed over; they stand in for `bind`. `directory`: where it was started. */
export function gunicornConfiguration(
  given: GunicornSettings,
  activated: readonly number[],
  directory: string,
): Statement[] {
  const { settings } = given;
  // One web worker serves many of Python's: the number of these says how much the machine is meant to do.
  const webWorkers = Math.min(availableParallelism(), mostWebWorkers, Math.max(settings.workers, 1));
  const statements: (Statement | undefined)[] = [
    process.getuid?.() === 0 ? line("user", "root") : undefined,
    line("worker_processes", webWorkers),
    // 0 would mean: without a bound.
    line("worker_shutdown_timeout", `${Math.max(settings.graceful_timeout * 1000, 1)}ms`),
    line("error_log", logFile(settings.errorlog, "/dev/stderr", directory), levels[settings.loglevel] ?? "info"),
    line("error_log_style", "gunicorn"),
    settings.pidfile === null ? undefined : line("pid", resolve(directory, settings.pidfile)),
    controlSocket(given),
    block("events", [], [line("worker_connections", mostConnections)]),
    block("http", [], httpStatements(given, activated, directory)),
  ];
  return statements.filter((each) => each !== undefined);
}

function httpStatements(given: GunicornSettings, activated: readonly number[], directory: string) {
  const { settings, addresses, tls } = given;
  const { backlog, umask, accesslog } = settings;
  return [
    line("access_log", "off"),
    accesslog === null || given.accessInPython
      ? undefined
      : line("gunicorn_access_log", logFile(accesslog, "/dev/stdout", directory), settings.access_log_format),
    line("server_tokens", "off"),
    line("absolute_redirect", "off"),
    line("keepalive_timeout", `${settings.keepalive}s`),
    line("client_max_body_size", 0),
    line("client_body_buffer_size", "64k"),
    line("app_accel", "off"),
    ...policy(given),
    settings.request_start ? line("app_request_start", "on") : undefined,
    block("app", ["app"], appStatements(given)),
    block(
      "server",
      [],
      [
        ...binds(addresses, activated).map((address) => listen(address, { backlog, umask, isSecure: tls !== null })),
        ...security(tls),
        given.http2 ? line("http2", "on") : undefined,
        given.http2 ? line("http2_max_concurrent_streams", settings.http2_max_concurrent_streams) : undefined,
        block("location", ["/"], [line("app_pass", "app")]),
      ],
    ),
  ];
}

const levels: Readonly<Record<string, string>> = {
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
  critical: "crit",
};

const logFile = (path: string, standard: string, directory: string): string =>
  path === "-" ? standard : resolve(directory, path);

/** Which requests are accepted, and whom they are believed. */
function policy({ settings }: GunicornSettings): Statement[] {
  const schemes = Object.entries(settings.secure_scheme_headers).map(([name, value]) => `${name}=${value}`);
  const proxied = settings.proxy_protocol !== "off";
  return [
    line("request_parsing", "gunicorn"),
    line("limit_request_line", settings.limit_request_line),
    line("limit_request_fields", settings.limit_request_fields),
    line("limit_request_field_size", settings.limit_request_field_size),
    flag("permit_obsolete_folding", settings.permit_obsolete_folding),
    flag("strip_header_spaces", settings.strip_header_spaces),
    flag("permit_unconventional_http_method", settings.permit_unconventional_http_method),
    flag("permit_unconventional_http_version", settings.permit_unconventional_http_version),
    flag("casefold_http_method", settings.casefold_http_method),
    line("header_map", settings.header_map),
    line("forwarder_headers", ...settings.forwarder_headers),
    line("forwarded_allow_ips", ...settings.forwarded_allow_ips),
    line("secure_scheme_headers", ...schemes),
    line("gunicorn_proxy_protocol", settings.proxy_protocol),
    line("proxy_allow_ips", ...settings.proxy_allow_ips),
    line("wire_protocol", settings.protocol),
    line("uwsgi_allow_ips", ...settings.uwsgi_allow_ips),
    // Whoever may send the header was asked before it was read.
    ...(proxied ? ["0.0.0.0/0", "::/0", "unix:"].map((from) => line("set_real_ip_from", from)) : []),
    ...(proxied ? [line("real_ip_header", "proxy_protocol")] : []),
  ];
}

function appStatements({ settings, app, python, directory, threads }: GunicornSettings): Statement[] {
  return [
    line("module", app),
    line("python", python),
    line("chdir", directory),
    line("workers", Math.max(settings.workers, 1)),
    line("threads", threads),
    line("timeout", settings.timeout),
    line("graceful_timeout", settings.graceful_timeout),
    line("max_requests", settings.max_requests),
    line("max_requests_jitter", settings.max_requests_jitter),
    line("max_worker_memory", settings.max_worker_memory),
    line("max_worker_age", settings.max_worker_age),
    line("max_request_time", settings.max_request_time),
    flag("client_disconnected", settings.client_disconnected),
    flag("preload", settings.preload_app),
    flag("reload", settings.reload),
  ];
}

/** Descriptors that were handed over are all there is, as with Gunicorn. */
function binds(addresses: readonly BindAddress[], activated: readonly number[]): readonly BindAddress[] {
  if (activated.length > 0) return activated;
  const descriptors = addresses.filter((address) => typeof address === "number");
  return descriptors.length > 0 ? descriptors : addresses;
}

function controlSocket({ control }: GunicornSettings): Statement | undefined {
  if (control === null) return undefined;
  const { path, mode, wanted } = control;
  return line("control_socket", path, `mode=${mode.toString(8).padStart(3, "0")}`, ...(wanted ? [] : ["optional"]));
}

interface ListenOptions {
  readonly backlog: number;
  readonly umask: number;
  readonly isSecure: boolean;
}

function listen(address: BindAddress, { backlog, umask, isSecure }: ListenOptions): Statement {
  const secure = isSecure ? ["ssl"] : [];
  if (typeof address === "number") return line("listen", `fd://${address}`, ...secure);
  const queue = `backlog=${Math.max(backlog, 1)}`;
  if (typeof address === "string")
    return line("listen", `unix:${address}`, ...secure, queue, `umask=${umask.toString(8).padStart(3, "0")}`);
  const [host, port] = address;
  return line("listen", `${host.includes(":") ? `[${host}]` : host}:${port}`, ...secure, queue);
}

/** Python's library sets no bound: Nginx's would be one. */
const verifyDepth = 100;

function security(tls: TlsSettings | null): (Statement | undefined)[] {
  if (tls === null) return [];
  return [
    ...tls.certificates.flatMap(([certificate, key]) => [
      line("ssl_certificate", certificate),
      line("ssl_certificate_key", key),
    ]),
    line("ssl_verify_client", tls.verify),
    line("ssl_verify_depth", verifyDepth),
    tls.authorities === null ? undefined : line("ssl_client_certificate", tls.authorities),
    tls.ciphers === null ? undefined : line("ssl_ciphers", tls.ciphers),
    tls.curves === null ? undefined : line("ssl_ecdh_curve", tls.curves),
    tls.protocols.length === 0 ? undefined : line("ssl_protocols", ...tls.protocols),
    flag("ssl_session_tickets", tls.tickets),
  ];
}
