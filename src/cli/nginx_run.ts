/** What `nginx` does with a configuration: checks it, tells the running server something, or serves. */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { ConfigError } from "../config/statement.ts";
import { readInherited, variable } from "../master/inherited.ts";
import { StartError } from "../master/plan.ts";
import { failureText } from "../net/libc.ts";
import { type LoadedPlan, loadPlan } from "./load.ts";
import { renewLogFiles, tryLogFiles } from "./log_files.ts";
import { openFailure, ProgramLog } from "./nginx_log.ts";
import type { NginxOptions, SignalName } from "./nginx_options.ts";
import { type NginxPaths, nginxPaths } from "./nginx_paths.ts";

const signals: Readonly<Record<SignalName, NodeJS.Signals>> = {
  stop: "SIGTERM",
  quit: "SIGQUIT",
  reopen: "SIGUSR1",
  reload: "SIGHUP",
};

/** The exit code. */
export async function runNginx(options: NginxOptions): Promise<number> {
  const paths = nginxPaths(options);
  const log = new ProgramLog(paths.errorLog, options.test ? "info" : "notice");
  const load = () => loadPlan({ ...paths, globals: options.globals });
  try {
    const loaded = await load();
    for (const warning of loaded.warnings) log.log("warn", warning);
    if (options.test) return await test(options, paths, loaded);
    if (options.signal !== undefined) return tell(options.signal, loaded, log);
    return await serve(loaded, load, log);
  } catch (error) {
    if (!isForUser(error)) throw error;
    log.log("emerg", error.message);
    if (options.test) process.stderr.write(`nginx: configuration file ${paths.file} test failed\n`);
    return 1;
  }
}

const isForUser = (error: unknown): error is Error => error instanceof ConfigError || error instanceof StartError;

async function test(options: NginxOptions, { file }: NginxPaths, loaded: LoadedPlan): Promise<number> {
  if (!options.quiet) process.stderr.write(`nginx: the configuration file ${file} syntax is ok\n`);
  tryLogFiles(loaded.logFiles);
  const { tryAddresses } = await import("../master/sockets.ts");
  const { nginxWords } = await import("../master/report.ts");
  tryAddresses(loaded.plan.listens, nginxWords);
  if (!options.quiet) process.stderr.write(`nginx: configuration file ${file} test is successful\n`);
  if (options.dump) {
    const { dump } = await import("../config/print.ts");
    process.stdout.write(Buffer.from(dump(loaded.files), "latin1"));
  }
  return 0;
}

/** Sends the running server a signal. */
function tell(name: SignalName, { plan }: LoadedPlan, log: ProgramLog): number {
  log.log("notice", "signal process started");
  const path = plan.pidFile ?? "";
  let text: string;
  try {
    text = readFileSync(path, "latin1");
  } catch (error) {
    return failed(log, openFailure(path, error));
  }
  const number = text.replace(/[\r\n]+$/, "");
  if (!/^\d{1,9}$/.test(number)) return failed(log, `invalid PID number "${number}" in "${path}"`);
  try {
    process.kill(Number(number), signals[name]);
    return 0;
  } catch (error) {
    return failed(log, `kill(${number}, ${constants.signals[signals[name]]}) failed (${failureText(error)})`, "alert");
  }
}

function failed(log: ProgramLog, message: string, level: "error" | "alert" = "error"): number {
  log.log(level, message);
  return 1;
}

async function serve(first: LoadedPlan, load: () => Promise<LoadedPlan>, log: ProgramLog): Promise<number> {
  const { becomeDaemon, leaveForeground, ownCommand, startInBackground } = await import("./daemon.ts");
  const handedOver = process.env[variable];
  delete process.env[variable];
  const isDaemon = becomeDaemon();
  if (first.daemon && !isDaemon && handedOver === undefined) return await startInBackground();
  const [{ Master }, { nginxReport }, { nginxSignals }] = await Promise.all([
    import("../master/master.ts"),
    import("../master/report.ts"),
    import("../master/signals.ts"),
  ]);
  moveLog(log, first);
  tryLogFiles(first.logFiles);
  if (handedOver !== undefined) log.log("notice", `using inherited sockets from "${handedOver}"`);
  let latest = first;
  const master = new Master({
    plan: first.plan,
    async load() {
      latest = await load();
      for (const warning of latest.warnings) log.log("warn", warning);
      tryLogFiles(latest.logFiles);
      return latest.plan;
    },
    onPlan: () => moveLog(log, latest),
    signals: nginxSignals,
    renewWebWorkers: true,
    report: nginxReport(log),
    reopenLog() {
      log.reopen();
      for (const failure of renewLogFiles(latest.logFiles, latest.plan.user)) log.log("emerg", failure);
    },
    upgrade: {
      renames: "old",
      command: ownCommand(),
      inherited:
        handedOver === undefined ? undefined : readInherited(handedOver, (message) => log.log("emerg", message)),
    },
    onBound() {
      if (isDaemon || handedOver !== undefined) log.takeErrors();
      if (isDaemon) leaveForeground();
      log.leaveTerminal();
    },
  });
  return await master.run();
}

function moveLog(log: ProgramLog, { plan, errorLevel }: LoadedPlan): void {
  try {
    log.moveTo(plan.errorLog, errorLevel);
  } catch (error) {
    throw new StartError(openFailure(plan.errorLog, error));
  }
}
