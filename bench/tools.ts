/** The programs that the benchmark runs: where each is, which version, and what to install when it is missing. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { venvBin } from "./venv.ts";

interface ToolRow {
  /** How to get it, for the line that says it is missing. */
  cure: string;
  /** Its path, or undefined when it is not here. */
  find(): string | undefined;
  /** Prints the version, somewhere in its output. */
  version(path: string): string[];
}

const venvPython = join(venvBin, "python");
const aptCure = (name: string) => `apt-get install ${name}`;
const pipCure = "see the output of pip in bench/.venv/install.log";
const moduleVersion = (name: string) => () => [
  venvPython,
  "-c",
  `import importlib.metadata as m; print(m.version("${name}"))`,
];
const venvFile = (name: string) => () => existing(join(venvBin, name));

const rows = {
  alicorn: {
    cure: "run 'npm ci' in the checkout",
    find: () => existing(process.env.BENCH_ALICORN ?? resolve(import.meta.dir, "../bin/alicorn")),
    version: (path) => [path, "--version"],
  },
  python: {
    cure: "apt-get install python3-venv",
    find: () => existing(venvPython),
    version: (path) => [path, "--version"],
  },
  gunicorn: { cure: pipCure, find: venvFile("gunicorn"), version: (path) => [path, "--version"] },
  gunicorn_h1c: { cure: pipCure, find: () => distribution("gunicorn_h1c"), version: moduleVersion("gunicorn_h1c") },
  django: { cure: pipCure, find: venvFile("django-admin"), version: moduleVersion("Django") },
  gevent: { cure: pipCure, find: () => distribution("gevent"), version: moduleVersion("gevent") },
  granian: { cure: pipCure, find: venvFile("granian"), version: (path) => [path, "--version"] },
  // The newer one of PyPI, which needs a C compiler, else Debian's.
  uwsgi: {
    cure: aptCure("uwsgi uwsgi-plugin-python3"),
    find: () => existing(join(venvBin, "uwsgi")) ?? onPath("uwsgi"),
    version: (path) => [path, "--version"],
  },
  nginx: {
    cure: aptCure("nginx"),
    find: () => onPath("nginx") ?? existing("/usr/sbin/nginx"),
    version: (path) => [path, "-v"],
  },
  wrk: { cure: aptCure("wrk"), find: () => onPath("wrk"), version: (path) => [path, "-v"] },
  h2load: { cure: aptCure("nghttp2-client"), find: () => onPath("h2load"), version: (path) => [path, "--version"] },
} satisfies Record<string, ToolRow>;

export type ToolName = keyof typeof rows;
export const toolNames = Object.keys(rows) as ToolName[];

/** The path of each tool that is installed. */
export type Tools = Partial<Record<ToolName, string>>;

/** Looks for every tool. */
export function findTools(): Tools {
  const found: Tools = {};
  for (const name of toolNames) {
    const path = rows[name].find();
    if (path !== undefined) found[name] = path;
  }
  return found;
}

/** The path of a tool that `needs` of the contender has promised. */
export function toolPath(tools: Tools, name: ToolName): string {
  const path = tools[name];
  if (path === undefined) throw new Error(`${name} is used without being listed in 'needs'`);
  return path;
}

/** What is missing of `needs`, as a sentence with its cure; undefined when nothing is. */
export function missing(tools: Tools, needs: readonly ToolName[]): string | undefined {
  const lacking = needs.filter((name) => tools[name] === undefined);
  if (lacking.length === 0) return undefined;
  return lacking.map((name) => `${name} is not installed (${rows[name].cure})`).join("; ");
}

/** The first thing that looks like a version in what each tool prints; "missing" for one that is not installed. */
export function versions(tools: Tools): Record<ToolName, string> {
  return Object.fromEntries(toolNames.map((name) => [name, versionOf(name, tools[name])])) as Record<ToolName, string>;
}

function versionOf(name: ToolName, path: string | undefined): string {
  if (path === undefined) return "missing";
  const row: ToolRow = rows[name];
  const { stdout, stderr } = Bun.spawnSync(row.version(path), { stdout: "pipe", stderr: "pipe", timeout: 10_000 });
  const printed = `${stdout.toString()}${stderr.toString()}`;
  return printed.match(/\d+\.\d+(\.\d+)*(-\w+)?/)?.[0] ?? "unknown";
}

function onPath(name: string): string | undefined {
  return Bun.which(name) ?? undefined;
}

function existing(path: string): string | undefined {
  return existsSync(path) ? path : undefined;
}

// A module without a program of its own: its metadata folder stands for it.
function distribution(name: string): string | undefined {
  const found = [
    ...new Bun.Glob(`lib/python*/site-packages/${name}-*.dist-info`).scanSync({
      cwd: join(venvBin, ".."),
      onlyFiles: false,
    }),
  ];
  return found[0];
}
