/** `error_log`: where lines for the operator go, and from which level on. */
import { type ErrorLevel, type ErrorLog, errorLevels, errorLog, joinedLogs } from "../../base/error_log.ts";
import { ConfigError } from "../../config/statement.ts";
import { parseSyslog, Syslog, type SyslogOptions } from "../../net/syslog.ts";
import type { Directive } from "../directive.ts";
import type { LogWriter } from "../module.ts";

/** One place for lines. */
export interface ErrorLogConf {
  /** A file's absolute path, "stderr", "memory", or a syslog server. */
  readonly to: string | SyslogOptions;
  readonly level: ErrorLevel;
}

/** Several statements of a block add up; an inner block's replace those of the outer one. */
export const errorLogDirective = (contexts: number): Directive<readonly ErrorLogConf[]> => ({
  summary: "Where errors are logged, and from which level on.",
  syntax: "file [level]",
  contexts,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  initialText: "/var/log/nginx/error.log error",
  slot: "error_log",
  parse({ args, at }, before = [], { setup }) {
    const [target = "", level = "error", ...further] = args;
    const known = level.startsWith("debug_") ? "debug" : errorLevels.find((each) => each === level);
    if (known === undefined) throw new ConfigError(`invalid log level "${level}"`, at);
    if (further.length > 0 && !further.every((each) => each.startsWith("debug_")))
      throw new ConfigError(`invalid log level "${further[0]}"`, at);
    return [...before, { to: destination(target), level: known }];

    function destination(text: string): string | SyslogOptions {
      if (text.startsWith("syslog:")) {
        const options = parseSyslog(text.slice("syslog:".length));
        if (typeof options === "string") throw new ConfigError(options, at);
        return options;
      }
      if (text.startsWith("memory:"))
        throw new ConfigError("logs to memory are Nginx's for debugging; Alicorn does not have them", at);
      return text === "stderr" ? "/dev/stderr" : setup.path(text);
    }
  },
});

/** The log of a block. `open` gives the writer of a path. */
export function makeErrorLog(
  confs: readonly ErrorLogConf[],
  open: (path: string) => LogWriter,
  format?: (level: ErrorLevel, message: string) => string,
): ErrorLog {
  return joinedLogs(
    confs.map(({ to, level }) => {
      if (typeof to === "string") {
        const file = open(to);
        return errorLog(level, (line) => file.write(line), format);
      }
      // What could not be sent there has nowhere else to go.
      const syslog = new Syslog(to, () => {});
      return errorLog(level, (line, severity) => syslog.send(errorLevels.indexOf(severity), line.trimEnd()), format);
    }),
  );
}
