/** `gunicorn …`: Gunicorn's command line and configuration file. From the settings to a plan, and the master that carries it out. */
import { chownSync, closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { formatAddress } from "../base/address.ts";
import { logLevels, makeLog } from "../base/log.ts";
import type { Statement } from "../config/statement.ts";
import { ConfigError } from "../config/statement.ts";
import { readInherited, variable } from "../master/inherited.ts";
import { Master } from "../master/master.ts";
import { type GunicornFacts, type Plan, StartError } from "../master/plan.ts";
import { version } from "../master/version.ts";
import { redirect } from "../net/libc.ts";
import { LogFile } from "../net/log_file.ts";
import type { UserPlan } from "../worker/plan.ts";
import { becomeDaemon, leaveForeground, ownCommand, startInBackground } from "./daemon.ts";
import { gunicornConfiguration } from "./gunicorn_configuration.ts";
import { gunicornReport } from "./gunicorn_report.ts";
import { type GunicornSettings, readSettings, type TlsSettings } from "./gunicorn_settings.ts";
import { gunicornSignals } from "./gunicorn_signals.ts";
import { planOf } from "./load.ts";
import { renewLogFiles, tryLogFiles } from "./log_files.ts";
import { activatedSockets, ServiceManager } from "./service_manager.ts";

/** The Gunicorn whose command line this is. */
const gunicornVersion = "26.1.0";

/** Runs a command line to its end and exits the process with its code. */
export async function main(args: readonly string[]): Promise<never> {
  process.exit(await run(args));
}

async function run(args: readonly string[]): Promise<number> {
  const directory = process.cwd();
  try {
    const settings = await readSettings(args, directory);
    if (typeof settings === "number") return settings;
    const handedOver = process.env[variable];
    delete process.env[variable];
    const isDaemon = becomeDaemon();
    if (settings.settings.daemon && !isDaemon && handedOver === undefined) return await startInBackground();
    return await serve(args, directory, settings, isDaemon, handedOver);
  } catch (error) {
    if (!(error instanceof StartError) && !(error instanceof ConfigError)) throw error;
    process.stderr.write(`\nError: ${error.message}\n`);
    return error instanceof StartError ? error.exitCode : 1;
  }
}

interface Loaded {
  readonly settings: GunicornSettings;
  readonly plan: Plan;
  readonly logFiles: readonly string[];
}

async function serve(
  args: readonly string[],
  directory: string,
  settings: GunicornSettings,
  isDaemon: boolean,
  handedOver: string | undefined,
): Promise<number> {
  const activated = activatedSockets(process.env);
  const make = (from: GunicornSettings, before: Loaded | undefined): Loaded =>
    makePlan(from, { args, directory, activated, before });
  let latest = make(settings, undefined);
  tryLogFiles(latest.logFiles);
  const logFile = new LogFile(latest.plan.errorLog, 2);
  const log = makeLog(latest.plan.logLevel, (line) => logFile.write(line));
  const manager = new ServiceManager(process.env);
  let isSecond = handedOver !== undefined;
  const name = () => (isSecond ? "Master.2" : "Master");
  nameProcess("gunicorn");
  const master = new Master({
    plan: latest.plan,
    async load() {
      const again = await readSettings(args, directory);
      if (typeof again === "number") throw new StartError("the settings cannot be read; the lines above say why");
      latest = make(again, latest);
      tryLogFiles(latest.logFiles);
      return latest.plan;
    },
    signals: gunicornSignals(isDaemon),
    renewWebWorkers: true,
    sameWebSide: (before, after) => webSide(before) === webSide(after),
    report: gunicornReport(log, manager, name),
    reopenLog() {
      logFile.reopen();
      for (const failure of renewLogFiles(latest.logFiles, latest.plan.user)) log.error(failure);
    },
    upgrade: {
      renames: "new",
      command: ownCommand(),
      inherited: handedOver === undefined ? undefined : readInherited(handedOver, (message) => log.error(message)),
    },
    onPromoted() {
      isSecond = false;
      manager.isMain();
    },
    onBound() {
      const addresses = master.listening.map(({ address }) => address);
      for (const address of addresses) if (address.kind === "unix") give(address.path, latest.plan.user);
      log.info(`Starting gunicorn ${gunicornVersion} (alicorn ${version})`);
      log.info(
        `Listening at: ${addresses.map((each) => urlOf(formatAddress(each), settings.tls !== null)).join(",")} (${process.pid})`,
      );
      log.info(`Using worker: ${settings.kind}`);
      for (const note of settings.notes) log.warning(note);
      if (isDaemon) {
        leaveForeground();
        leaveErrors(latest.plan.errorLog);
      }
    },
    onServing: () => manager.ready("serving"),
  });
  return await master.run();
}

interface Making {
  readonly args: readonly string[];
  readonly directory: string;
  readonly activated: readonly number[];
  readonly before: Loaded | undefined;
}

/** Throws ConfigError or StartError. */
function makePlan(settings: GunicornSettings, { args, directory, activated, before }: Making): Loaded {
  const statements = gunicornConfiguration(settings, activated, directory);
  const readOnce = certificateTexts(settings.tls);
  const configuration = { statements, prefix: `${directory}/`, file: "", errorLog: "-", readOnce };
  const { plan, logFiles } = planOf(configuration, undefined);
  const user = userOf(settings);
  const facts: GunicornFacts = {
    arguments: args,
    directory,
    version,
    server_software: `gunicorn/${gunicornVersion} alicorn/${version}`,
    master: process.pid,
    listening: plan.listens.map(({ address }) => formatAddress(address)),
    reloading: before !== undefined,
    previous_workers: before?.plan.apps[0]?.workers ?? null,
  };
  const logLevel = logLevels.find((level) => level === settings.settings.loglevel.toLowerCase()) ?? "info";
  return {
    settings,
    logFiles,
    plan: { ...plan, user, logLevel, apps: plan.apps.map((app) => ({ ...app, user, gunicorn: facts })) },
  };
}

/** A reload has to find new certificates behind the same names. Those that cannot be read are complained of when they are used. */
function certificateTexts(tls: TlsSettings | null): Record<string, string> {
  const paths = [...(tls?.certificates.flat() ?? []), tls?.authorities ?? ""].filter((path) => existsSync(path));
  return Object.fromEntries(paths.map((path) => [Buffer.from(path).toString("latin1"), readFileSync(path, "latin1")]));
}

/** Whom the workers run as; undefined: who the master is, or nobody may be changed into. */
function userOf({ settings: { user, group }, userName }: GunicornSettings): UserPlan | undefined {
  if (process.getuid?.() !== 0 || (user === 0 && group === process.getgid?.())) return undefined;
  return { name: userName === "" ? String(user) : userName, uid: user, gid: group };
}

/** What the web workers were told, but for the application, whose workers are replaced at each reload. */
function webSide({ configuration, pidFile, user, apps, errorLog, logLevel }: Plan): string {
  const isOurs = ({ name }: Statement) => name !== "app";
  const statements = configuration.statements.map((each) =>
    each.block === undefined ? each : { ...each, block: each.block.filter(isOurs) },
  );
  return JSON.stringify([
    statements,
    configuration.readOnce,
    pidFile,
    user,
    errorLog,
    logLevel,
    apps.map(({ timeout }) => timeout),
  ]);
}

/** A Unix socket belongs to those who serve it. */
function give(path: string, user: UserPlan | undefined): void {
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}

const urlOf = (address: string, isSecure: boolean): string =>
  address.startsWith("unix:") ? address : `${isSecure ? "https" : "http"}://${address}`;

/** A daemon has no terminal: what libraries write to standard error is found in the error log, if that is a file. */
function leaveErrors(errorLog: string): void {
  const fd = openSync(errorLog === "-" ? "/dev/null" : errorLog, "a");
  redirect(2, fd);
  closeSync(fd);
}

/** For `ps` and `pkill`, where the system lets a process name itself. */
function nameProcess(name: string): void {
  try {
    writeFileSync("/proc/self/comm", name);
  } catch {
    // Another system.
  }
}
