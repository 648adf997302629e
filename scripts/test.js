/**
 * The one command that runs every check: types, lint, the Python side, unit and end-to-end tests.
 * `npm test`, or `npm test -- PATTERN` for the test files whose path contains PATTERN. Installs what it needs first.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const patterns = process.argv.slice(2);
const venv = join(root, "tests/.venv");
const inVenv = (name) => join(venv, "bin", name);
const totals = { passed: 0, failed: 0 };

mustRun("node", "scripts/setup.js", "--dev");
prepareVenv();
if (patterns.length === 0) {
  step("types", "bin/bun", "x", "tsc", "--noEmit");
  step("format and lint", "bin/bun", "x", "biome", "check", ".");
  step("Python lint", inVenv("ruff"), "check", "python");
  step("examples lint", inVenv("ruff"), "check", "--config", "python/ruff.toml", "examples");
  step("Python format", inVenv("ruff"), "format", "--check", "python");
  step("Python side", inVenv("python"), "-m", "unittest", "discover", "-s", "python/tests", "-t", "python");
}
step(
  "unit and end-to-end tests",
  "bin/bun",
  "test",
  "--timeout",
  "60000",
  ...(patterns.length > 0 ? patterns : ["src", "tests"]),
);

console.log(`\n${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed === 0 ? 0 : 1);

/** A virtualenv with the frameworks that the tests run; made again when their list changes. */
function prepareVenv() {
  const wanted = readFileSync(join(root, "tests/requirements.txt"), "utf8");
  const marker = join(venv, "installed.txt");
  if (existsSync(marker) && readFileSync(marker, "utf8") === wanted) return;
  console.error("alicorn: preparing tests/.venv …");
  mustRun("python3", "-m", "venv", "--clear", venv);
  mustRun(inVenv("pip"), "install", "--quiet", "--disable-pip-version-check", "-r", "tests/requirements.txt");
  writeFileSync(marker, wanted);
}

function mustRun(command, ...args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) {
    console.error(`alicorn: "${command} ${args.join(" ")}" failed`);
    process.exit(1);
  }
}

/** Runs one check, shows its output, and counts what it says about tests; one that counts nothing counts as one. */
function step(title, command, ...args) {
  console.log(`\n── ${title}`);
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 256 * 1024 * 1024,
  });
  const output = `${stdout ?? ""}${stderr ?? ""}`;
  process.stdout.write(status === 0 ? summaryOf(output) : output);
  const passed = /^ *(\d+) pass$/m.exec(output) ?? /^Ran (\d+) tests? in/m.exec(output);
  const failed = /^ *(\d+) fail$/m.exec(output) ?? /^FAILED .*?(?:failures|errors)=(\d+)/m.exec(output);
  const count = passed === null ? Number(status === 0) : Number(passed[1]);
  const bad = failed === null ? 0 : Number(failed[1]);
  totals.passed += count;
  totals.failed += status === 0 ? bad : Math.max(bad, 1);
}

/** The last lines: of a run without a failure nobody reads more. */
function summaryOf(output) {
  const lines = output.trimEnd().split("\n");
  return `${lines.slice(-6).join("\n")}\n`;
}
