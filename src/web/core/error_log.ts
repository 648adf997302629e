/** `error_log`: where lines for the operator go, and from which level on. */
import { type ErrorLevel, type ErrorLog, errorLevels, errorLog, joinedLogs } from "../../base/error_log.ts";
import { ConfigError, type Place } from "../../config/statement.ts";
import { parseSyslog, Syslog, type SyslogOptions } from "../../net/syslog.ts";
import type { Directive } from "../directive.ts";
import type { LogWriter } from "../module.ts";
import type { Setup } from "../setup.ts";

/** One place for lines. */
export interface ErrorLogConf {
  /** A file's absolute path, "/dev/stderr", or a syslog server. */
  readonly to: string | SyslogOptions;
  readonly level: ErrorLevel;
}

/** Nginx's kinds of debugging lines; each means `debug`. */
const debugKinds = ["core", "alloc", "mutex", "event", "http", "mail", "stream"].map((kind) => `debug_${kind}`);

/** Several statements of a block add up; an inner block's replace those of the outer one. */
export const errorLogDirective = (contexts: number): Directive<readonly ErrorLogConf[]> => ({
  summary: "Where errors are logged, and from which level on.",
  syntax:
    "file | stderr | syslog:server=address[,parameter=value] [debug | info | notice | warn | error | crit | alert | emerg]",
  contexts,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  initialText: "/var/log/nginx/error.log error",
  deviation: "few lines have the level `debug`; logs to `memory:` are not there",
  slot: "error_log",
  parse({ args, at }, before = [], { setup }) {
    const [target = "", ...levels] = args;
    return [...before, { to: destination(target, at, setup), level: levelOf(levels, at) }];
  },
});

function levelOf(words: readonly string[], at: Place): ErrorLevel {
  let level: ErrorLevel | undefined;
  for (const word of words) {
    const known = debugKinds.includes(word) ? "debug" : errorLevels.find((each) => each === word);
    if (known === undefined) throw new ConfigError(`invalid log level "${word}"`, at);
    if (level !== undefined && !(level === "debug" && debugKinds.includes(word)))
      throw new ConfigError(`duplicate log level "${word}"`, at);
    level = known;
  }
  return level ?? "error";
}

function destination(text: string, at: Place, setup: Setup): string | SyslogOptions {
  if (text.startsWith("syslog:")) {
    const options = parseSyslog(text.slice("syslog:".length));
    if (typeof options === "string") throw new ConfigError(options, at);
    return options;
  }
  if (text.startsWith("memory:"))
    throw new ConfigError("logs to memory are Nginx's for debugging; Alicorn does not have them", at);
  if (text === "stderr") return "/dev/stderr";
  const path = setup.path(text);
  setup.logFiles.add(path);
  return path;
}

const syslogs = new WeakMap<SyslogOptions, Syslog>();

/** The connection to a statement's syslog server: blocks that inherit the statement share it. `report`: as for `Syslog`. */
export function syslogOf(options: SyslogOptions, report: (message: string) => void): Syslog {
  let syslog = syslogs.get(options);
  if (syslog === undefined) {
    syslog = new Syslog(options, report);
    syslogs.set(options, syslog);
  }
  return syslog;
}

/** The log of a block. `open` gives the writer of a path. */
export function makeErrorLog(
  confs: readonly ErrorLogConf[],
  open: (path: string) => LogWriter,
  format?: (level: ErrorLevel, message: string) => string,
): ErrorLog {
  const all: ErrorLog = joinedLogs(
    confs.map(({ to, level }) => {
      if (typeof to === "string") {
        const file = open(to);
        return errorLog(level, (line) => file.write(line), format);
      }
      // That it could not be sent there is said in the other logs: this one drops it.
      const syslog = syslogOf(to, (message) => all.log("alert", message));
      return errorLog(level, (line, severity) => syslog.send(errorLevels.indexOf(severity), line.trimEnd()), format);
    }),
  );
  return all;
}
