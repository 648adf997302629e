/** `nginx …`: Nginx's command line. What only prints answers before anything else is loaded. */
import { version } from "../master/version.ts";
import { versionText } from "./nginx_features.ts";
import { type NginxOptions, NginxUsageError, parseNginxArguments } from "./nginx_options.ts";
import { defaultErrorLog, defaultFile, defaultPrefix } from "./nginx_paths.ts";

const help = `Usage: nginx [-?hvVtTq] [-s signal] [-p prefix]
             [-e filename] [-c filename] [-g directives]

Serves what a configuration file of Nginx's says.

Options:
  -?, -h         this help
  -v             the version
  -V             the version, and which modules there are
  -t             check the configuration and exit
  -T             the same, and print the configuration
  -q             with -t: say only what is wrong
  -s signal      tell the running server: stop, quit, reopen or reload
  -p prefix      where relative paths begin (${defaultPrefix})
  -e filename    the error log until the configuration names one; "stderr" (${defaultErrorLog})
  -c filename    the configuration file (${defaultFile} in the prefix)
  -g directives  directives that stand before those of the file

`;

/** Runs a command line to its end and exits the process with its code. */
export async function main(args: readonly string[]): Promise<never> {
  process.exit(await run(args));
}

async function run(args: readonly string[]): Promise<number> {
  let options: NginxOptions;
  try {
    options = parseNginxArguments(args);
  } catch (error) {
    if (!(error instanceof NginxUsageError)) throw error;
    process.stderr.write(`nginx: ${error.message}\n`);
    return 1;
  }
  if (options.version) {
    process.stderr.write(versionText(version, options.features) + (options.help ? help : ""));
    if (!options.test) return 0;
  }
  const { runNginx } = await import("./nginx_run.ts");
  return await runNginx(options);
}
