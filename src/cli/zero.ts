/** `alicorn app:app --static …`: the zero-configuration mode. From a command line to a plan, and the master that carries it out. */
import { resolve } from "node:path";
import { makeLog } from "../base/log.ts";
import { printTree } from "../config/print.ts";
import { ConfigError } from "../config/statement.ts";
import { check } from "../master/check.ts";
import { Master } from "../master/master.ts";
import { type Plan, StartError } from "../master/plan.ts";
import { zeroReport } from "../master/report.ts";
import { zeroSignals } from "../master/signals.ts";
import { version } from "../master/version.ts";
import { LogFile } from "../net/log_file.ts";
import { banner } from "./banner.ts";
import { helpText } from "./help.ts";
import { planOf } from "./load.ts";
import type { LocalCertificate } from "./local_certificate.ts";
import { type Given, parseArguments, UsageError } from "./options.ts";
import { isSecure, staticRoute, zeroConfiguration } from "./zero_configuration.ts";

/** Runs a command line to its end and exits the process with its code. */
export async function main(args: readonly string[]): Promise<never> {
  process.exit(await run(args));
}

async function run(args: readonly string[]): Promise<number> {
  try {
    const printsConfiguration = args[0] === "config";
    const { given, positional } = parseArguments(printsConfiguration ? args.slice(1) : args);
    if (given.help) return print(helpText());
    if (given.version) return print(`alicorn ${version}\n`);
    const local = await localFor(given);
    if (printsConfiguration) return print(configurationText(given, positional, local));
    const plan = makePlan(given, positional, local);
    const statics = given.static.map(staticRoute);
    const logFile = openLog(plan.errorLog, "--error-log");
    if (given.accessLog !== undefined)
      openLog(given.accessLog === "-" ? "-" : resolve(given.accessLog), "--access-log").close();
    const log = makeLog(plan.logLevel, (line) => logFile.write(line));
    if (given.check) return await check(plan, log);
    const master = new Master({
      plan,
      load: () => makePlan(given, positional, local),
      signals: zeroSignals,
      renewWebWorkers: false,
      report: zeroReport(log),
      reopenLog: () => logFile.reopen(),
      onServing() {
        const { listening } = master;
        process.stderr.write(
          banner(plan, { listening, statics, secure: isSecure(given), local, colours: colours(process.stderr) }),
        );
      },
    });
    return await master.run();
  } catch (error) {
    if (error instanceof UsageError) return complain(`${error.message} (alicorn --help lists the options)`, 2);
    if (error instanceof StartError) return complain(error.message, error.exitCode);
    throw error;
  }
}

/** The same as a file for \`alicorn nginx -c\`, to grow out of the command line. */
function configurationText(given: Given, positional: readonly string[], local: LocalCertificate | undefined): string {
  const tree = printTree(zeroConfiguration(given, positional, process.env, local));
  return `# Written by "alicorn config". Serve it with: alicorn nginx -c FILE\ndaemon off;\n${Buffer.from(tree, "latin1")}`;
}

/** `--https` */
async function localFor({ https }: Given): Promise<LocalCertificate | undefined> {
  if (https === undefined) return undefined;
  const { localCertificate } = await import("./local_certificate.ts");
  return await localCertificate(https, process.env);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function complain(message: string, exitCode: number): number {
  const name = colours(process.stderr) ? "\x1b[31malicorn:\x1b[0m" : "alicorn:";
  process.stderr.write(`${name} ${message}\n`);
  return exitCode;
}

const colours = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && process.env.NO_COLOR === undefined;

function openLog(path: string, flag: string): LogFile {
  try {
    return new LogFile(path, 2);
  } catch (error) {
    throw new StartError(`${flag} ${path}: cannot be opened: ${(error as Error).message}`);
  }
}

function makePlan(given: Given, positional: readonly string[], local: LocalCertificate | undefined): Plan {
  const statements = zeroConfiguration(given, positional, process.env, local);
  try {
    return planOf({ statements, prefix: `${process.cwd()}/`, file: "", errorLog: "-" }, undefined).plan;
  } catch (error) {
    // All that the options allow the directives should: but a path may be too long for a socket.
    if (error instanceof ConfigError) throw new StartError(error.message);
    throw error;
  }
}
