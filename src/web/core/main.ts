/** Directives of the main and events contexts: the processes, their files and their bounds (ngx_core_module, ngx_events_module). */
import { ConfigError } from "../../config/statement.ts";
import {
  accepted,
  choice,
  context,
  type Directive,
  duplicate,
  everywhere,
  flag,
  invalidParameter,
  number,
  text,
  time,
} from "../directive.ts";
import { errorLogDirective } from "./error_log.ts";

const { main, events } = context;

/** Web workers; "auto": one for each core. */
const workerProcesses: Directive<number | "auto"> = {
  summary: "How many web workers there are.",
  syntax: "number | auto",
  contexts: main,
  args: 1,
  initial: 1,
  initialText: "1",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [given = ""] = statement.args;
    if (given === "auto") return "auto";
    if (!/^\d{1,4}$/.test(given) || given === "0")
      throw new ConfigError("invalid number of worker processes", statement.at);
    return Number(given);
  },
};

/** The name, and the group if one is named. */
const user: Directive<{ readonly name: string; readonly group: string | undefined } | undefined> = {
  summary: "Whom the web workers run as, when the master is root.",
  syntax: "user [group]",
  contexts: main,
  args: [1, 2],
  initial: undefined,
  initialText: "nobody",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [name = "", group] = statement.args;
    return { name, group };
  },
};

const block = (opens: number, summary: string): Directive<true | undefined> => ({
  summary,
  syntax: "{ … }",
  contexts: main,
  args: 0,
  initial: undefined,
  opens,
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    return true;
  },
});

/** Where a service is asked and told what to do (master/control.ts). */
export interface ControlPlan {
  /** Absolute. */
  readonly path: string;
  /** Of the socket's file. */
  readonly mode: number;
  /** Whoever cannot have it does without, and says nothing. */
  readonly optional: boolean;
}

const controlSocket: Directive<ControlPlan | undefined> = {
  summary: "A Unix socket for `alicorn ctl`: shows what workers are doing, adds, removes and replaces them, reloads.",
  syntax: "off | path [mode=number] [optional]",
  contexts: main,
  args: [1, 3],
  initial: undefined,
  initialText: "off",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const [path = "", ...words] = statement.args;
    if (path === "off" && words.length === 0) return undefined;
    let mode = 0o600;
    let optional = false;
    for (const word of words) {
      const digits = /^mode=([0-7]{3,4})$/.exec(word)?.[1];
      if (digits !== undefined) mode = Number.parseInt(digits, 8);
      else if (word === "optional") optional = true;
      else throw invalidParameter(statement, word);
    }
    return { path: setup.path(path), mode, optional };
  },
};

const kernel = "the runtime decides how it waits for events";

export const mainDirectives = {
  events: block(events, "What belongs to connections in general."),
  http: block(context.http, "The web servers."),
  worker_processes: workerProcesses,
  user,
  pid: text({
    contexts: main,
    initial: undefined,
    initialText: "/run/nginx.pid",
    summary: "The file with the master's process number.",
    syntax: "file",
  }),
  lock_file: accepted({ contexts: main, args: 1, syntax: "file", deviation: "no lock file is needed" }),
  control_socket: controlSocket,
  daemon: flag({ contexts: main, initial: true, summary: "Whether the master leaves the terminal." }),
  master_process: accepted({ contexts: main, args: 1, syntax: "on | off", deviation: "there is always a master" }),
  worker_rlimit_nofile: number({
    contexts: main,
    initial: undefined,
    summary: "How many files a process may have open.",
  }),
  worker_rlimit_core: accepted({ contexts: main, args: 1, syntax: "size", deviation: "the limit of the system holds" }),
  worker_shutdown_timeout: time({
    contexts: main,
    initial: 0,
    summary: "After how long a graceful stop closes what is still open; without it there is no bound.",
  }),
  worker_connections: number({
    contexts: events,
    initial: 512,
    initialText: "512",
    summary: "How many connections a web worker has open at most.",
    deviation: "16384 without a configuration file",
  }),
  worker_priority: accepted({
    contexts: main,
    args: 1,
    syntax: "number",
    deviation: "processes keep the priority that they were started with",
  }),
  worker_cpu_affinity: accepted({
    contexts: main,
    syntax: "auto [cpumask] | cpumask …",
    deviation: "the system chooses the cores",
  }),
  working_directory: accepted({
    contexts: main,
    args: 1,
    syntax: "directory",
    deviation: "means core dumps, which the runtime does not write",
  }),
  timer_resolution: accepted({
    contexts: main,
    args: 1,
    syntax: "interval",
    deviation: "timers are exact to some milliseconds",
  }),
  pcre_jit: accepted({
    contexts: main,
    args: 1,
    syntax: "on | off",
    deviation: "the runtime compiles regular expressions",
  }),
  thread_pool: accepted({
    contexts: main,
    args: [2, 3],
    syntax: "name threads=number [max_queue=number]",
    deviation: "the runtime has its threads",
  }),
  ssl_engine: accepted({ contexts: main, args: 1, syntax: "device", deviation: "the runtime does the cryptography" }),
  ssl_object_cache_inheritable: accepted({
    contexts: main,
    args: 1,
    syntax: "on | off",
    deviation: "certificates are read at each reload",
  }),
  env: accepted({
    contexts: main,
    args: 1,
    syntax: "variable[=value]",
    deviation: "processes inherit the whole environment",
  }),
  error_log: errorLogDirective(main | everywhere),
  error_log_style: choice(["nginx", "gunicorn"], {
    contexts: main,
    initial: "nginx",
    summary: "Whose form the lines of the error log have.",
  }),
  epoll_events: accepted({ contexts: events, args: 1, syntax: "number", deviation: kernel }),
  google_perftools_profiles: accepted({
    contexts: main,
    args: 1,
    syntax: "file",
    deviation: "another profiler is the runtime's",
  }),
  use: accepted({ contexts: events, args: 1, syntax: "method", deviation: kernel }),
  multi_accept: accepted({ contexts: events, args: 1, syntax: "on | off", deviation: kernel }),
  accept_mutex: accepted({
    contexts: events,
    args: 1,
    syntax: "on | off",
    deviation: "each web worker has its own sockets",
  }),
  accept_mutex_delay: accepted({
    contexts: events,
    args: 1,
    syntax: "time",
    deviation: "each web worker has its own sockets",
  }),
  debug_connection: accepted({
    contexts: events,
    args: 1,
    syntax: "address | CIDR | unix:",
    deviation: "there is no debug log for single addresses",
  }),
  debug_points: accepted({ contexts: main, args: 1, syntax: "abort | stop", deviation: kernel }),
  worker_aio_requests: accepted({ contexts: events, args: 1, syntax: "number", deviation: kernel }),
};
