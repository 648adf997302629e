/** What the master says under Gunicorn's command line: the lines that tools look for, and to a service manager. */
import { formatAddress } from "../base/address.ts";
import type { Log } from "../base/log.ts";
import { howItEnded, type Report, zeroReport } from "../master/report.ts";
import type { ServiceManager } from "./service_manager.ts";

/** `name`: "Master", or "Master.2" while the program before it has not ended. */
export function gunicornReport(log: Log, manager: ServiceManager, name: () => string): Report {
  let failure: string | undefined;
  return {
    ...zeroReport(log),
    signalled(signal, _, action) {
      if (action !== "ignore") log.info(`Handling signal: ${signal.slice("SIG".length).toLowerCase()}`);
    },
    cannotListen: (address, error) =>
      error.code === "EADDRINUSE"
        ? `Connection in use: (${inQuotes(formatAddress(address))})`
        : `Can't connect to (${inQuotes(formatAddress(address))}): ${error.code}`,
    webWorkerEnded(pid, ending, wanted) {
      if (!wanted) log.error(`Web worker (pid:${pid}) ended ${howItEnded(ending)}; it is replaced`);
    },
    arbiterEnded: (pid, code) => log.error(`Arbiter (pid:${pid}) ended with code ${code}; it is replaced`),
    reloading() {
      log.info(`Hang up: ${name()}`);
      manager.reloading();
    },
    reloaded() {
      log.info("The new workers serve");
      manager.ready("reloaded");
    },
    reloadFailed(why) {
      log.error(`The reload failed, the workers as they were keep serving: ${why}`);
      manager.ready("a reload has failed");
    },
    appWorkers: (count) => log.debug(`${count} workers`),
    stopping: () => manager.stopping(),
    startFailed(why) {
      failure = why;
      log.error(why);
    },
    ended() {
      log.info(`Shutting down: ${name()}`);
      if (failure !== undefined) log.info(`Reason: ${failure.split("\n").at(-1)}`);
    },
  };
}

/** "127.0.0.1:80" as Gunicorn shows it: ('127.0.0.1', 80) without the outer parentheses. */
function inQuotes(address: string): string {
  const [, host, port] = /^(.*):(\d+)$/.exec(address) ?? [];
  return host === undefined ? `'${address}'` : `'${host}', ${port}`;
}
