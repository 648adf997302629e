/** The virtualenv of the peers from PyPI, `bench/.venv`: made on first use, and again when requirements.txt has changed. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dir, ".venv");
const requirements = join(import.meta.dir, "requirements.txt");
/** Holds the requirements that are installed. */
const stamp = join(folder, "installed.txt");
const log = join(folder, "install.log");
const pipTimeoutMs = 300_000; // uWSGI is compiled.

export const venvBin = join(folder, "bin");

/**
 * Makes the virtualenv when it is not there or out of date. A package that cannot be installed is left out: the cases
 * then name it as missing. `say` takes a line of progress.
 */
export function prepareVenv(say: (line: string) => void): void {
  const wanted = readFileSync(requirements, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  say(`making ${folder} with the peers of bench/requirements.txt …`);
  if (!existsSync(join(venvBin, "pip")) && !run(["python3", "-m", "venv", folder], say)) return;
  writeFileSync(log, "");
  const packages = wanted.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  // One by one, so that one which does not build takes no other with it.
  const failed = packages.filter(
    (name) => !run([join(venvBin, "pip"), "install", "--disable-pip-version-check", name], say),
  );
  if (failed.length === 0) writeFileSync(stamp, wanted);
  else say(`could not install ${failed.join(", ")}; see ${log}`);
}

function run(argv: string[], say: (line: string) => void): boolean {
  const { exitCode, stdout, stderr } = Bun.spawnSync(argv, { stdout: "pipe", stderr: "pipe", timeout: pipTimeoutMs });
  const printed = `$ ${argv.join(" ")}\n${stdout.toString()}${stderr.toString()}`;
  if (existsSync(folder)) writeFileSync(log, printed, { flag: "a" });
  else if (exitCode !== 0) say(printed);
  return exitCode === 0;
}
