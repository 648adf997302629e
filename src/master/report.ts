/** What the master has to say. Each way to run it has its own words: Gunicorn's users and Nginx's look for what they know. */
import { constants } from "node:os";
import { type Address, formatAddress } from "../base/address.ts";
import type { ErrorLog } from "../base/error_log.ts";
import type { Log } from "../base/log.ts";
import { errorText, type SystemError } from "../net/libc.ts";
import type { Action } from "./signals.ts";

/** How a process ended: with a code, or on a signal. */
export interface Ending {
  readonly code: number | null;
  readonly signal: number | null;
}

export interface Report {
  signalled(name: NodeJS.Signals, number: number, action: Action): void;
  /** Words for an address that cannot be had. */
  cannotListen(address: Address, error: SystemError): string;
  webWorkerStarted(pid: number): void;
  /** `wanted`: it was told to. */
  webWorkerEnded(pid: number, ending: Ending, wanted: boolean): void;
  arbiterEnded(pid: number, code: number): void;
  reloading(): void;
  /** `generations`: of each application's workers. */
  reloaded(generations: readonly number[]): void;
  reloadFailed(why: string): void;
  appWorkers(count: number): void;
  /** The control socket is there. */
  controlled(path: string): void;
  stopping(graceful: boolean): void;
  startFailed(why: string): void;
  ended(): void;
  /** Anything else that went wrong. */
  wrong(level: "alert" | "error" | "warn" | "notice", message: string): void;
}

/** What the runtime says of a process's end. */
export const endingOf = (code: number | null, signal: number | NodeJS.Signals | null): Ending => ({
  code,
  signal: typeof signal === "string" ? constants.signals[signal] : signal,
});

/** "with code 1", "on signal 9" */
export const howItEnded = ({ code, signal }: Ending): string =>
  signal === null ? `with code ${code}` : `on signal ${signal}`;

export function zeroReport(log: Log): Report {
  return {
    signalled() {},
    cannotListen: explain,
    webWorkerStarted() {},
    webWorkerEnded(pid, ending, wanted) {
      if (!wanted) log.error(`web worker (pid:${pid}) ended ${howItEnded(ending)}; it is replaced`);
    },
    arbiterEnded: (pid, code) => log.error(`application arbiter (pid:${pid}) ended with code ${code}; it is replaced`),
    reloading: () => log.info("Hang up: reloading the application"),
    reloaded: (generations) => log.info(`reloaded: generation ${generations.join(", ")} serves`),
    reloadFailed: (why) => log.error(`the reload failed, the application as it was keeps serving: ${why}`),
    appWorkers: (count) => log.info(`${count} application worker${count === 1 ? "" : "s"} from now on`),
    controlled: (path) => log.info(`Control socket listening at ${path}`),
    stopping: (graceful) => log.info(graceful ? "Shutting down: finishing what is under way" : "Shutting down"),
    startFailed: (why) => log.error(why),
    ended() {},
    wrong: (level, message) => log[level === "warn" ? "warning" : level === "notice" ? "info" : "error"](message),
  };
}

function explain(address: Address, { code }: SystemError): string {
  const where = formatAddress(address);
  switch (code) {
    case "EADDRINUSE":
      return `cannot listen on ${where}: another program already does; stop it, or choose another address with --bind`;
    case "EACCES":
    case "EPERM":
      return `cannot listen on ${where}: permission denied; ports below 1024 and others' directories need more rights`;
    case "EADDRNOTAVAIL":
      return `cannot listen on ${where}: this machine does not have that address`;
    case "ENOENT":
    case "ENOTDIR":
      return `cannot listen on ${where}: its directory does not exist`;
    case "EBADF":
    case "ENOTSOCK":
    case "EINVAL":
      return `cannot listen on ${where}: that descriptor is not a listening socket`;
    default:
      return `cannot listen on ${where}: ${code}`;
  }
}

const whatItDoes: Readonly<Record<Action, string>> = {
  stop: ", exiting",
  finish: ", shutting down",
  reload: ", reconfiguring",
  reopen: ", reopening logs",
  upgrade: ", changing binary",
  retire: ", stop accepting connections",
  grow: ", one application worker more",
  shrink: ", one application worker fewer",
  ignore: ", ignoring",
};
const andThen: Readonly<Partial<Record<Action, string>>> = {
  reload: "reconfiguring",
  reopen: "reopening logs",
  upgrade: "changing binary",
};

/** `bind() to 0.0.0.0:80 failed (98: Address already in use)` */
export function nginxWords(address: Address, { call, errno }: SystemError): string {
  const to = call === "bind" || call === "listen" ? "to " : "";
  return `${call}() ${to}${formatAddress(address)} failed (${errorText(errno)})`;
}

export function nginxReport(log: ErrorLog): Report {
  return {
    signalled(name, number, action) {
      log.log("notice", `signal ${number} (${name}) received${whatItDoes[action]}`);
      const next = andThen[action];
      if (next !== undefined) log.log("notice", next);
    },
    cannotListen: nginxWords,
    webWorkerStarted: (pid) => log.log("notice", `start worker process ${pid}`),
    webWorkerEnded(pid, ending) {
      log.log(ending.signal === null ? "notice" : "alert", `worker process ${pid} exited ${howItEnded(ending)}`);
    },
    arbiterEnded: (pid, code) =>
      log.log("alert", `application arbiter ${pid} exited with code ${code}, it is replaced`),
    reloading() {},
    reloaded(generations) {
      if (generations.length > 0) log.log("notice", "the applications' new workers serve");
    },
    reloadFailed: (why) => log.log("emerg", why),
    appWorkers: (count) => log.log("notice", `${count} application worker${count === 1 ? "" : "s"} from now on`),
    controlled: (path) => log.log("notice", `control socket listening at ${path}`),
    stopping() {},
    startFailed: (why) => log.log("emerg", why),
    ended: () => log.log("notice", "exit"),
    wrong: (level, message) => log.log(level, message),
  };
}
