/** ngx_http_log_module: the access log. */
import { ConfigError, type Statement } from "../../config/statement.ts";
import { context, type Directive, everywhere, invalidParameter } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { type LogFormat, readFormat } from "../log_format.ts";
import { defineModule, type LogWriter } from "../module.ts";
import type { LogHandler } from "../pipeline.ts";
import type { Setup } from "../setup.ts";
import type { Template } from "../template.ts";

interface AccessLog {
  readonly path: string;
  readonly format: string;
  readonly condition: Template | undefined;
  readonly statement: Statement;
}

const combined = [
  "combined",
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"',
] as const;

const logFormat: Directive<ReadonlyMap<string, LogFormat>> = {
  summary: "A form of the access log's lines.",
  syntax: "name [escape=default | json | none] string …",
  contexts: context.http,
  args: [2, Number.POSITIVE_INFINITY],
  initial: new Map(),
  initialText: 'combined "…"',
  parse({ args, at }, before = new Map(), { setup }) {
    const [name = "", ...rest] = args;
    if (before.has(name) || name === combined[0]) throw new ConfigError(`duplicate "log_format" name "${name}"`, at);
    return new Map([...before, [name, readFormat(rest, at, setup)]]);
  },
};

const accessLog: Directive<readonly AccessLog[] | "off"> = {
  summary: "Where requests are logged, in which form, and which of them.",
  syntax: "path [format [buffer=size] [gzip[=level]] [flush=time] [if=condition]] | off",
  contexts: everywhere | context.locationIf | context.limitExcept,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  initialText: "logs/access.log combined",
  parse(statement, before = [], { setup }) {
    const [target = "", ...rest] = statement.args;
    if (target === "off" && rest.length === 0) return "off";
    const logs = before === "off" ? [] : before;
    const [format = combined[0], ...parameters] = rest;
    let condition: Template | undefined;
    for (const each of parameters) {
      if (each.startsWith("if=")) condition = setup.template(each.slice(3), statement.at);
      else throw invalidParameter(statement, each);
    }
    return [...logs, { path: target.startsWith("/dev/") ? target : setup.path(target), format, condition, statement }];
  },
};

/** Lines are gathered until the end of the loop's turn: many requests, one system call. */
function gathering(to: LogWriter): (line: string) => void {
  let lines = "";
  const flush = () => {
    const text = lines;
    lines = "";
    to.write(text);
  };
  return (line) => {
    if (lines === "") setImmediate(flush);
    lines += line;
  };
}

export const logModule = defineModule({
  name: "log",
  directives: { log_format: logFormat, access_log: accessLog },
  prepare(http, setup: Setup) {
    const formats = http.conf({ log_format: logFormat }).log_format;
    http.set("log_format", new Map([...formats, [combined[0], readFormat([combined[1]], http.at, setup)]]));
  },
  compile({ access_log, log_format }, { runtime }) {
    if (access_log === "off" || access_log.length === 0) return {};
    const handlers = access_log.map(({ path, format, condition }): LogHandler => {
      const line = log_format.get(format);
      if (line === undefined) return () => {};
      const write = gathering(runtime.logFile(path));
      return (exchange: Exchange) => {
        if (condition !== undefined && ["", "0"].includes(condition.value(exchange))) return;
        write(`${line(exchange)}\n`);
      };
    });
    const [only] = handlers;
    if (handlers.length === 1) return { log: only };
    return {
      log(exchange) {
        for (const each of handlers) each(exchange);
      },
    };
  },
});
