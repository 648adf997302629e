/**
 * Installs what the next step needs, if it is not there yet: `node scripts/setup.js [--dev]`.
 * Runs on Node alone; everything after it runs on the Bun that it installs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const development = process.argv.includes("--dev");

if (!installed()) {
  console.error("alicorn: installing its dependencies (npm ci) …");
  const args = ["ci", "--no-progress", ...(development ? [] : ["--omit=dev"])];
  const { status, stderr } = spawnSync("npm", args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) {
    console.error(`${stderr ?? ""}alicorn: "npm ${args.join(" ")}" failed: is the package registry reachable?`);
    process.exit(1);
  }
}
const bun = spawnSync(join(root, "bin/bun"), ["--version"], { encoding: "utf8" });
if (bun.status !== 0) {
  console.error(
    `${bun.stderr ?? ""}alicorn: its runtime, Bun, does not run on this machine (Linux on x64 or arm64 is supported)`,
  );
  process.exit(1);
}

/** npm writes node_modules/.package-lock.json last; it is older than our lock file when that has changed. */
function installed() {
  const marker = join(root, "node_modules/.package-lock.json");
  if (!existsSync(marker) || statSync(marker).mtimeMs < statSync(join(root, "package-lock.json")).mtimeMs) return false;
  const { packages } = JSON.parse(readFileSync(marker, "utf8"));
  return !development || "node_modules/typescript" in packages;
}
