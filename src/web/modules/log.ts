/** ngx_http_log_module: the access log. */
import { ConfigError, type Place, type Statement } from "../../config/statement.ts";
import { parseSize, parseTime } from "../../config/values.ts";
import { parseSyslog, type SyslogOptions } from "../../net/syslog.ts";
import type { Block } from "../build.ts";
import { syslogOf } from "../core/error_log.ts";
import { errorDirectives } from "../core/errors.ts";
import { context, type Directive, duplicate, everywhere, invalidParameter } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { type LogFormat, readFormat } from "../log_format.ts";
import { type LogCacheLimits, LogPaths, missingDirectory, noLogCache } from "../log_paths.ts";
import { defineModule, type LogBuffering, type Runtime } from "../module.ts";
import type { LogHandler } from "../pipeline.ts";
import type { Setup } from "../setup.ts";
import type { Template } from "../template.ts";

/** Where lines go: a file, a file for each value of a path with variables, or a syslog server. */
type Target =
  | { readonly kind: "file"; readonly path: string; readonly buffering: LogBuffering | undefined }
  | { readonly kind: "paths"; readonly path: Template }
  | { readonly kind: "syslog"; readonly options: SyslogOptions };

interface AccessLog {
  readonly target: Target;
  readonly format: LogFormat;
  readonly condition: Template | undefined;
}

interface AccessLogs {
  /** Nothing is logged, whatever else is said. */
  readonly off: boolean;
  readonly logs: readonly AccessLog[];
}

/** Where requests are logged if no `access_log` says so. */
const defaultPath = "/var/log/nginx/access.log";
const defaultFormat = "combined";
const combined =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';

const combinedFormats = new WeakMap<Setup, LogFormat>();

function combinedFormat(setup: Setup): LogFormat {
  let format = combinedFormats.get(setup);
  if (format === undefined) {
    format = readFormat([combined], { file: "", line: 0 }, setup);
    combinedFormats.set(setup, format);
  }
  return format;
}

const logFormat: Directive<ReadonlyMap<string, LogFormat>> = {
  summary: "A form of the access log's lines.",
  syntax: "name [escape=default | json | none] string …",
  contexts: context.http,
  args: [2, Number.POSITIVE_INFINITY],
  initial: new Map(),
  initialText: 'combined "…"',
  parse({ args, at }, before = new Map(), { setup }) {
    const [name = "", ...rest] = args;
    if (before.has(name) || name === defaultFormat) throw new ConfigError(`duplicate "log_format" name "${name}"`, at);
    return new Map([...before, [name, readFormat(rest, at, setup)]]);
  },
};

/** A format that stands further up; case does not matter. */
function formatNamed(name: string, at: Place, block: Block, setup: Setup): LogFormat {
  const wanted = name.toLowerCase();
  if (wanted === defaultFormat) return combinedFormat(setup);
  let http: Block | undefined = block;
  while (http !== undefined && http.kind !== context.http) http = http.parent;
  const formats = http?.own("log_format") as ReadonlyMap<string, LogFormat> | undefined;
  for (const [known, format] of formats ?? []) if (known.toLowerCase() === wanted) return format;
  throw new ConfigError(`unknown log format "${name}"`, at);
}

const accessLog: Directive<AccessLogs> = {
  summary: "Where requests are logged, in which form, and which of them.",
  syntax: "path [format [buffer=size] [gzip[=level]] [flush=time] [if=condition]] | off",
  contexts: everywhere | context.locationIf | context.limitExcept,
  args: [1, Number.POSITIVE_INFINITY],
  initial: { off: false, logs: [] },
  initialText: `${defaultPath} combined`,
  deviation: `without any access_log, ${defaultPath} is only written to if it can be opened`,
  parse(statement, before = { off: false, logs: [] }, { setup, block }) {
    const [path = "", name = defaultFormat, ...parameters] = statement.args;
    if (path === "off") {
      if (statement.args.length > 1) throw invalidParameter(statement, name);
      return { ...before, off: true };
    }
    const target = targetOf(path, statement, setup);
    const format = formatNamed(name, statement.at, block, setup);
    const { buffering, condition } = readParameters(parameters, statement, setup);
    const log: AccessLog = {
      target: buffering === undefined ? target : buffered(target, buffering, statement, setup),
      format,
      condition: condition === undefined ? undefined : setup.template(condition, statement.at),
    };
    return { ...before, logs: [...before.logs, log] };
  },
};

function targetOf(text: string, { at }: Statement, setup: Setup): Target {
  if (text.startsWith("syslog:")) {
    const options = parseSyslog(text.slice("syslog:".length));
    if (typeof options === "string") throw new ConfigError(options, at);
    return { kind: "syslog", options };
  }
  const template = setup.template(setup.path(text), at);
  if (template.constant === undefined) return { kind: "paths", path: template };
  setup.logFiles.add(template.constant);
  return { kind: "file", path: template.constant, buffering: undefined };
}

interface Parameters {
  readonly buffering: LogBuffering | undefined;
  readonly condition: string | undefined;
}

function readParameters(words: readonly string[], statement: Statement, setup: Setup): Parameters {
  const { at, args } = statement;
  let [bytes, flushMs, gzipLevel] = [0, 0, 0];
  let condition: string | undefined;
  for (const word of words) {
    const [, name = "", value = ""] = /^(buffer|flush|gzip|if)=(.*)$/s.exec(word === "gzip" ? "gzip=1" : word) ?? [];
    if (name === "buffer") {
      bytes = parseSize(value) ?? 0;
      if (bytes === 0) throw new ConfigError(`invalid buffer size "${value}"`, at);
    } else if (name === "flush") {
      flushMs = parseTime(value, "ms") ?? 0;
      if (flushMs === 0) throw new ConfigError(`invalid flush time "${value}"`, at);
    } else if (name === "gzip") {
      if (!/^[1-9]$/.test(value)) throw new ConfigError(`invalid compression level "${value}"`, at);
      gzipLevel = Number(value);
      if (bytes === 0) bytes = 64 * 1024;
    } else if (name === "if") condition = value;
    else throw invalidParameter(statement, word);
  }
  if (flushMs > 0 && bytes === 0) {
    const path = setup.path(args[0] ?? "");
    throw new ConfigError(`no buffer is defined for access_log "${path}"`, at);
  }
  return { buffering: bytes === 0 ? undefined : { bytes, flushMs, gzipLevel }, condition };
}

/** One file has one buffer, wherever it is named. */
const bufferings = new WeakMap<Setup, Map<string, LogBuffering>>();

function buffered(target: Target, buffering: LogBuffering, { at }: Statement, setup: Setup): Target {
  if (target.kind === "paths") throw new ConfigError("buffered logs cannot have variables in name", at);
  if (target.kind === "syslog") throw new ConfigError("logs to syslog cannot be buffered", at);
  const known = bufferings.get(setup) ?? new Map<string, LogBuffering>();
  bufferings.set(setup, known);
  const other = known.get(target.path) ?? buffering;
  const isSame =
    other.bytes === buffering.bytes && other.flushMs === buffering.flushMs && other.gzipLevel === buffering.gzipLevel;
  if (!isSame) throw new ConfigError(`access_log "${target.path}" already defined with conflicting parameters`, at);
  known.set(target.path, buffering);
  return { ...target, buffering };
}

const openLogFileCache: Directive<LogCacheLimits> = {
  summary: "How many log files whose path has variables are kept open, and for how long.",
  syntax: "max=number [inactive=time] [min_uses=number] [valid=time] | off",
  contexts: everywhere,
  args: [1, 4],
  initial: noLogCache,
  initialText: "off",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const { args, at } = statement;
    let limits: LogCacheLimits = { max: 0, inactiveMs: 10_000, validMs: 60_000, minUses: 1 };
    for (const word of args) {
      const bad = new ConfigError(`invalid "open_log_file_cache" parameter "${word}"`, at);
      if (word === "off") return noLogCache;
      const [, name = "", value = ""] = /^(max|inactive|min_uses|valid)=(.*)$/s.exec(word) ?? [];
      if (name === "max" || name === "min_uses") {
        if (!/^\d{1,9}$/.test(value)) throw bad;
        limits = { ...limits, [name === "max" ? "max" : "minUses"]: Number(value) };
      } else if (name === "inactive" || name === "valid") {
        const seconds = parseTime(value, "s");
        if (seconds === undefined) throw bad;
        limits = { ...limits, [name === "valid" ? "validMs" : "inactiveMs"]: seconds * 1000 };
      } else throw bad;
    }
    if (limits.max === 0) throw new ConfigError('"open_log_file_cache" must have "max" parameter', at);
    return limits;
  },
};

const directives = { log_format: logFormat, access_log: accessLog, open_log_file_cache: openLogFileCache };

/** Writes a line, without its end. */
type Write = (exchange: Exchange, line: string) => void;

function writerOf(target: Target, runtime: Runtime, cache: LogCacheLimits): Write {
  switch (target.kind) {
    case "file": {
      const file = runtime.accessLog(target.path, target.buffering);
      return (_, line) => file.write(`${line}\n`);
    }
    case "syslog": {
      const syslog = syslogOf(target.options, (message) => runtime.log.log("alert", message));
      const { severity } = target.options;
      return (_, line) => syslog.send(severity, line);
    }
    default:
      return intoPaths(target.path, cache);
  }
}

const openPaths = new WeakMap<LogCacheLimits, LogPaths>();

function intoPaths(path: Template, limits: LogCacheLimits): Write {
  const paths = openPaths.get(limits) ?? new LogPaths(limits);
  openPaths.set(limits, paths);
  return (exchange, line) => {
    // A name from the network must not create logs for sites that do not exist.
    const root = exchange.location.documents.root(exchange);
    const missing = missingDirectory(root);
    if (missing !== undefined) {
      exchange.log("error", `testing "${root}" existence failed (${missing})`);
      return;
    }
    const failure = paths.write(path.value(exchange), `${line}\n`);
    if (failure !== undefined) exchange.log("crit", failure);
  };
}

function handlerOf({ target, format, condition }: AccessLog, runtime: Runtime, cache: LogCacheLimits): LogHandler {
  const write = writerOf(target, runtime, cache);
  if (condition === undefined) return (exchange) => write(exchange, format(exchange));
  return (exchange) => {
    const value = condition.value(exchange);
    if (value !== "" && value !== "0") write(exchange, format(exchange));
  };
}

function defaultLogs(runtime: Runtime, setup: Setup): readonly LogHandler[] {
  // Without a configuration file there is no access log.
  if (setup.configuration.file === "") return [];
  const target: Target = { kind: "file", path: defaultPath, buffering: undefined };
  try {
    return [handlerOf({ target, format: combinedFormat(setup), condition: undefined }, runtime, noLogCache)];
  } catch {
    return [];
  }
}

export const logModule = defineModule({
  name: "log",
  directives,
  prepare(_, setup) {
    combinedFormat(setup);
  },
  compile({ access_log: { off, logs }, open_log_file_cache: cache }, { runtime, setup, block }) {
    if (off) return {};
    const handlers = logs.length > 0 ? logs.map((log) => handlerOf(log, runtime, cache)) : defaultLogs(runtime, setup);
    const [first, second] = handlers;
    if (first === undefined) return {};
    const all: LogHandler =
      second === undefined
        ? first
        : (exchange) => {
            for (const each of handlers) each(exchange);
          };
    if (block.conf(errorDirectives).log_subrequest) return { log: all };
    return {
      log(exchange) {
        if (exchange.parent === undefined) all(exchange);
      },
    };
  },
});
