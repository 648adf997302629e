/**
 * The same configuration under Nginx and under Alicorn, the same bytes to both, the same responses from both: what differs is named in
 * accepted.ts, with its reason. Needs an `nginx` on the PATH (Debian's 1.22 is what the table is for).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { nginx as alicorn } from "../support/nginx_server.ts";
import { Directory, until } from "../support/server.ts";
import { accepted } from "./accepted.ts";
import { askBoth } from "./ask_both.ts";
import { differences } from "./compare.ts";
import { writeDocuments } from "./documents.ts";
import { echoUpstream } from "./echo_upstream.ts";
import type { Probe } from "./probe.ts";
import { sets } from "./sets.ts";

const found = Bun.which("nginx");
const version = found === null ? "" : Bun.spawnSync([found, "-v"]).stderr.toString();
// Versions differ among themselves: the table of what is accepted is for this one.
const reference = /nginx\/1\.22\./.test(version) ? found : null;
if (reference === null)
  console.warn(`differential: skipped, for there is no nginx 1.22 on the PATH to compare with ${version.trim()}`);

/** Both listen on the same ports, so that what a response says of them is the same. */
const theirAddress = "127.0.0.1";
const ourAddress = "127.0.0.2";
const atOnce = 12;

const ports = new Map<string, number>();
const usedRows = new Set<number>();
const directory = new Directory();
const running: Subprocess[] = [];
let upstream: Awaited<ReturnType<typeof echoUpstream>> | undefined;

// Debian's default paths are root's alone.
const temporary = (name: string, whose: readonly string[]): string =>
  whose.map((each) => `${each}_temp_path ${name}_${each};`).join(" ");

const configuration = (address: string, name: string): string => `
daemon off;
user root;
pid ${name}.pid;
error_log ${name}.log info;
worker_processes 1;
events { worker_connections 512; }
http {
  access_log off;
  root DIR/html;
  ${temporary(name, name === "theirs" ? ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] : ["client_body", "proxy"])}
  ${sets
    .map((set) =>
      readFileSync(join(import.meta.dir, "sets", `${set.name}.conf`), "utf8").replaceAll(
        "ADDRESS",
        `${address}:${ports.get(set.name)}`,
      ),
    )
    .join("\n")}
}
`;

function start(program: string, address: string, name: string): Subprocess {
  const text = configuration(address, name)
    .replaceAll("DIR", directory.path)
    .replaceAll("UPSTREAM", `127.0.0.1:${upstream?.port}`);
  directory.write(`${name}.conf`, text);
  const args = ["-p", directory.path, "-c", `${name}.conf`, "-e", `${name}.log`];
  return Bun.spawn([program, ...args], { stdio: ["ignore", "ignore", "inherit"] });
}

/** A port that is free at both addresses. */
function freePort(): number {
  for (;;) {
    const first = Bun.listen({ hostname: theirAddress, port: 0, socket: { data() {} } });
    try {
      Bun.listen({ hostname: ourAddress, port: first.port, socket: { data() {} } }).stop(true);
      return first.port;
    } catch {
      // Taken at the other address: another one, then.
    } finally {
      first.stop(true);
    }
  }
}

const portOf = (name: string): number => ports.get(name) ?? 0;

/** What differs, of all probes of a set; a line begins with the probe's name. */
async function compared(name: string, probes: readonly Probe[]): Promise<string[]> {
  const found: string[][] = [];
  const queue = probes.entries();
  const one = async (): Promise<void> => {
    for (const [i, { name: title, bytes, methods }] of queue) {
      const port = portOf(name);
      const sent = bytes.replaceAll("PORT", String(port));
      const [theirs, ours] = await askBoth(sent, { host: theirAddress, port }, { host: ourAddress, port });
      found[i] = differences(theirs, ours.replaceAll(ourAddress, theirAddress), methods)
        .filter((each) => !isAccepted(name, title, each))
        .map((each) => `${title}\n    ${each}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return found.flat();
}

function isAccepted(set: string, probe: string, difference: string): boolean {
  const row = accepted.findIndex(
    (each) => each.set === set && each.probe.test(probe) && (each.difference?.test(difference) ?? true),
  );
  if (row >= 0) usedRows.add(row);
  return row >= 0;
}

describe.skipIf(reference === null)("Nginx and Alicorn", () => {
  beforeAll(async () => {
    writeDocuments(join(directory.path, "html"));
    upstream = await echoUpstream();
    for (const { name } of sets) ports.set(name, freePort());
    running.push(start(reference ?? "", theirAddress, "theirs"), start(alicorn, ourAddress, "ours"));
    for (const [i, name] of ["theirs", "ours"].entries()) {
      const path = join(directory.path, `${name}.pid`);
      await until(() => existsSync(path) || running[i]?.exitCode !== null, `${name} runs`);
      if (!existsSync(path)) throw new Error(readFileSync(join(directory.path, `${name}.log`), "utf8"));
    }
  });

  afterAll(async () => {
    for (const each of running) each.kill("SIGTERM");
    await Promise.all(running.map(({ exited }) => exited));
    upstream?.close();
    directory[Symbol.dispose]();
  });

  for (const { name, probes } of sets) {
    test(name, async () => {
      expect((await compared(name, probes)).join("\n")).toBe("");
    });
  }

  // Other versions differ in other things.
  test.skipIf(!/nginx\/1\.22\./.test(version))("every row of accepted.ts is still needed", () => {
    expect(accepted.filter((_, row) => !usedRows.has(row))).toEqual([]);
  });
});
