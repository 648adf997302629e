/** The command line of `alicorn APP`: one row per option; parsing, checks, `--help` and docs/command-line.md come from here. */
import { type LogLevel, logLevels } from "../base/log.ts";
import { parseOffset } from "../config/values.ts";

export type Group = "Serving" | "Python" | "Lifetime" | "Logs" | "Development" | "Other";

/** One option. V is the type of its value. */
export interface Option<V> {
  readonly group: Group;
  /** Long form first; Gunicorn's short forms and other spellings after it. */
  readonly flags: readonly [string, ...string[]];
  /** The name of the value in the help; absent: the option takes none. */
  readonly value?: string;
  /** May be given several times; its value is a list. */
  readonly many?: boolean;
  readonly summary: string;
  /** What the help shows as the default. */
  readonly initialText?: string;
  readonly initial: V;
  /** Returns what is wrong, in words, instead of the value. */
  parse(text: string, before: V): V | Wrong;
}

export class Wrong {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

type Row<V> = Omit<Option<V>, "parse">;

const text = <D extends string | undefined>(row: Row<D>): Option<string | D> => ({ ...row, parse: (given) => given });
const flag = (row: Omit<Row<boolean>, "initial">): Option<boolean> => ({ ...row, initial: false, parse: () => true });
const list = (row: Omit<Row<readonly string[]>, "initial" | "many">): Option<readonly string[]> => ({
  ...row,
  initial: [],
  many: true,
  parse: (given, before) => [...before, given],
});

/** A whole number from `least` on, in Gunicorn's notations (10, 0x10, 0o7). */
function number<D extends number | undefined>(row: Row<D>, least: number): Option<number | D> {
  return {
    ...row,
    parse(given) {
      const value = /^(\d+|0x[\da-f]+|0o[0-7]+)$/i.test(given) ? Number(given) : Number.NaN;
      return Number.isSafeInteger(value) && value >= least
        ? value
        : new Wrong(`must be a whole number from ${least} on`);
    },
  };
}

export const options = {
  bind: list({
    group: "Serving",
    flags: ["--bind", "-b"],
    value: "ADDRESS",
    summary: "Where to listen: HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N. May be repeated.",
    initialText: "127.0.0.1:8000, or 0.0.0.0:$PORT",
  }),
  certFile: text({
    group: "Serving",
    flags: ["--certfile", "--cert-file"],
    value: "FILE",
    initial: undefined,
    summary: "Speak HTTPS, with the certificate in FILE and those behind it.",
  }),
  keyFile: text({
    group: "Serving",
    flags: ["--keyfile", "--key-file"],
    value: "FILE",
    initial: undefined,
    summary: "The certificate's key.",
    initialText: "in the certificate's file",
  }),
  https: text({
    group: "Serving",
    flags: ["--https"],
    value: "NAME",
    initial: undefined,
    summary:
      "Speak HTTPS for development, as NAME (localhost), with a certificate that is made on this machine; plain HTTP is redirected.",
  }),
  static: list({
    group: "Serving",
    flags: ["--static"],
    value: "URL=DIR",
    summary: "Serve the files of DIR under URL, without Python. May be repeated.",
  }),
  staticCacheControl: text({
    group: "Serving",
    flags: ["--static-cache-control"],
    value: "VALUE",
    initial: undefined,
    summary: 'The Cache-Control field of static files, for example "public, max-age=3600".',
  }),
  keepAlive: number(
    {
      group: "Serving",
      flags: ["--keep-alive"],
      value: "SECONDS",
      initial: 75,
      summary: "How long an idle connection stays open for another request; 0: each connection serves one.",
    },
    0,
  ),
  webWorkers: number(
    {
      group: "Serving",
      flags: ["--web-workers"],
      value: "N",
      initial: undefined,
      summary: "Processes that speak HTTP.",
      initialText: "one per core, four at most",
    },
    1,
  ),
  backlog: number(
    {
      group: "Serving",
      flags: ["--backlog"],
      value: "N",
      initial: 2048,
      summary: "Connections that may wait to be accepted.",
    },
    1,
  ),
  workers: number(
    {
      group: "Python",
      flags: ["--workers", "-w"],
      value: "N",
      initial: undefined,
      summary: "Python processes that run the application.",
      initialText: "$WEB_CONCURRENCY, or one per core, four at most",
    },
    1,
  ),
  threads: number(
    {
      group: "Python",
      flags: ["--threads"],
      value: "N",
      initial: 1,
      summary: "Requests that each of them runs at once.",
    },
    1,
  ),
  chdir: text({
    group: "Python",
    flags: ["--chdir"],
    value: "DIR",
    initial: undefined,
    summary: "The application's directory: working directory, and first in its import path.",
    initialText: "where you are",
  }),
  python: text({
    group: "Python",
    flags: ["--python"],
    value: "FILE",
    initial: undefined,
    summary: "The interpreter.",
    initialText: "the active virtualenv's, else .venv or venv in the application's directory, else python3",
  }),
  env: list({
    group: "Python",
    flags: ["--env", "-e"],
    value: "KEY=VALUE",
    summary: "Set an environment variable for the application. May be repeated.",
  }),
  preload: flag({
    group: "Python",
    flags: ["--preload"],
    summary: "Load the application once, before the workers are forked: less memory, faster starts.",
  }),
  requestStart: flag({
    group: "Python",
    flags: ["--request-start"],
    summary: "Tell the application in X-Request-Start when a request arrived, as monitoring tools expect it.",
  }),
  clientDisconnected: flag({
    group: "Python",
    flags: ["--client-disconnected"],
    summary: 'Let the application ask environ["alicorn.client_disconnected"]() whether its client is gone.',
  }),
  timeout: number(
    {
      group: "Lifetime",
      flags: ["--timeout", "-t"],
      value: "SECONDS",
      initial: 30,
      summary: "A worker that is silent for longer (with one thread: runs a request for longer) is aborted; 0: never.",
    },
    0,
  ),
  gracefulTimeout: number(
    {
      group: "Lifetime",
      flags: ["--graceful-timeout"],
      value: "SECONDS",
      initial: 30,
      summary: "How long requests may take to finish when the service stops or reloads.",
    },
    0,
  ),
  maxRequests: number(
    {
      group: "Lifetime",
      flags: ["--max-requests"],
      value: "N",
      initial: 0,
      summary: "Replace a worker after so many requests; 0: never.",
    },
    0,
  ),
  maxRequestsJitter: number(
    {
      group: "Lifetime",
      flags: ["--max-requests-jitter"],
      value: "N",
      initial: 0,
      summary: "Add a random number up to N to --max-requests, so that workers are not replaced all at once.",
    },
    0,
  ),
  maxWorkerMemory: {
    group: "Lifetime",
    flags: ["--max-worker-memory"],
    value: "SIZE",
    initial: 0,
    summary: "Replace a worker that has more memory: resident bytes, or 300m, 1g; 0: never.",
    parse: (given: string): number | Wrong =>
      parseOffset(given) ?? new Wrong("must be a size: a number, maybe with k, m or g behind it"),
  } as Option<number>,
  maxWorkerAge: number(
    {
      group: "Lifetime",
      flags: ["--max-worker-age"],
      value: "SECONDS",
      initial: 0,
      summary: "Replace a worker after so long; 0: never.",
    },
    0,
  ),
  maxRequestTime: number(
    {
      group: "Lifetime",
      flags: ["--max-request-time"],
      value: "SECONDS",
      initial: 0,
      summary:
        "With threads: a request that runs for longer is stuck; the log shows where, and its worker is replaced; 0: never.",
    },
    0,
  ),
  controlSocket: text({
    group: "Lifetime",
    flags: ["--control-socket"],
    value: "PATH",
    initial: undefined,
    summary:
      "A Unix socket, for you alone, over which `alicorn ctl -s PATH` shows what the workers are doing, adds, removes and replaces them.",
    initialText: "none",
  }),
  accessLog: text({
    group: "Logs",
    flags: ["--access-log", "--access-logfile"],
    value: "FILE",
    initial: undefined,
    summary: 'A line per request, in the combined format; "-": standard output.',
    initialText: "none",
  }),
  errorLog: text({
    group: "Logs",
    flags: ["--error-log", "--error-logfile", "--log-file"],
    value: "FILE",
    initial: "-",
    summary: 'What goes wrong, and what the application writes to wsgi.errors; "-": standard error.',
  }),
  logLevel: {
    group: "Logs",
    flags: ["--log-level"],
    value: "LEVEL",
    initial: "info",
    summary: `How much to say: ${logLevels.join(", ")}.`,
    parse: (given: string): LogLevel | Wrong =>
      logLevels.find((level) => level === given.toLowerCase()) ?? new Wrong(`must be one of ${logLevels.join(", ")}`),
  } as Option<LogLevel>,
  pid: text({
    group: "Logs",
    flags: ["--pid", "-p"],
    value: "FILE",
    initial: undefined,
    summary: "Write the process id to FILE.",
    initialText: "none",
  }),
  reload: flag({
    group: "Development",
    flags: ["--reload"],
    summary: "Restart the workers when a source file changes; an import error shows in the browser. Uses one worker.",
  }),
  check: flag({
    group: "Development",
    flags: ["--check", "--check-config"],
    summary: "Check options, addresses and the application, and exit.",
  }),
  version: flag({ group: "Other", flags: ["--version", "-v"], summary: "Print the version and exit." }),
  help: flag({ group: "Other", flags: ["--help", "-h"], summary: "Print this help and exit." }),
} as const;

type Options = typeof options;
export type OptionName = keyof Options;
/** What a command line says: each option under its name, with the type that its row gives it. */
export type Given = { readonly [Name in OptionName]: Options[Name] extends Option<infer V> ? V : never };

/** The command line cannot be understood; exit code 2, as argparse has it. */
export class UsageError extends Error {}

const byFlag = new Map<string, OptionName>(
  (Object.keys(options) as OptionName[]).flatMap((name) => options[name].flags.map((each) => [each, name] as const)),
);

/** Reads a command line: `--flag value`, `--flag=value`, `-w4`, `-w 4`, unambiguous abbreviations, `--` ends the options. Throws UsageError. */
export function parseArguments(args: readonly string[]): {
  readonly given: Given;
  readonly positional: readonly string[];
} {
  const values: Record<string, unknown> = Object.fromEntries(
    Object.entries(options).map(([name, { initial }]) => [name, initial]),
  );
  const positional: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--") {
      positional.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      positional.push(arg);
      continue;
    }
    const [flagText, joined] = split(arg);
    const name = resolveFlag(flagText);
    const option = options[name] as Option<unknown>;
    if (option.value === undefined && joined !== undefined) throw new UsageError(`${flagText} takes no value`);
    const value = option.value === undefined ? "" : (joined ?? args[++i]);
    if (value === undefined) throw new UsageError(`${flagText} needs a value: ${flagText} ${option.value}`);
    const parsed = option.parse(value, values[name]);
    if (parsed instanceof Wrong) throw new UsageError(`${flagText} ${value}: ${parsed.why}`);
    values[name] = parsed;
  }
  return { given: values as Given, positional };
}

function split(arg: string): [flag: string, joined: string | undefined] {
  if (!arg.startsWith("--")) return [arg.slice(0, 2), arg.length > 2 ? arg.slice(2) : undefined];
  const equals = arg.indexOf("=");
  return equals < 0 ? [arg, undefined] : [arg.slice(0, equals), arg.slice(equals + 1)];
}

function resolveFlag(given: string): OptionName {
  const exact = byFlag.get(given);
  if (exact !== undefined) return exact;
  const matches = [...byFlag].filter(([each]) => given.length > 2 && each.startsWith(given));
  const names = new Set(matches.map(([, name]) => name));
  if (names.size === 1) return matches[0]![1];
  if (names.size > 1) throw new UsageError(`${given} may mean ${matches.map(([each]) => each).join(" or ")}`);
  const near = [...byFlag.keys()].find((each) => distance(each, given) <= 2);
  throw new UsageError(`there is no option ${given}${near === undefined ? "" : `; did you mean ${near}?`}`);
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
