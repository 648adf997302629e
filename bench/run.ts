/** `npm run bench`: measures Alicorn and its peers on this machine, and writes figures, tables and chart to bench/results/. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Case } from "./cases/case.ts";
import { cases, groupFloors } from "./cases/index.ts";
import { chart } from "./chart.ts";
import { judgeGroup } from "./floors.ts";
import { machineFacts } from "./machine.ts";
import { helpText, type Options, parseOptions, UsageError } from "./options.ts";
import { guardExit } from "./process.ts";
import { markdown } from "./report.ts";
import type { CaseResult, Results } from "./results.ts";
import { runCase } from "./rounds.ts";
import { findTools, missing, toolNames, versions } from "./tools.ts";
import { prepareVenv } from "./venv.ts";
import { Workplace } from "./workplace.ts";

const folder = join(import.meta.dir, "results");
const say = (line: string): void => console.error(line);

/** The cases and lanes that the options leave. */
function select({ only, against }: Options): Case[] {
  return cases
    .filter((one) => only.test(one.id))
    .map((one) => ({
      ...one,
      lanes: one.lanes.filter(({ contender }) => contender.ours || against.test(contender.name)),
    }));
}

async function measureAll(options: Options): Promise<Results> {
  const began = new Date();
  prepareVenv(say);
  const tools = findTools();
  for (const name of toolNames) {
    const trouble = missing(tools, [name]);
    if (trouble) say(`missing: ${trouble}`);
  }
  if (!tools.wrk) throw new UsageError(missing(tools, ["wrk"]));
  const machine = machineFacts();
  if (machine.load > 0.5)
    say(`load average ${machine.load.toFixed(2)}: others are using this machine, the figures will be noisy`);
  const chosen = select(options);
  const settings = { ...options, tools, workplace: new Workplace(tools), say };
  const results: CaseResult[] = [];
  for (const one of chosen) results.push(await runCase(one, settings));
  return {
    startedAt: began.toISOString(),
    seconds: (Date.now() - began.getTime()) / 1000,
    rounds: options.rounds,
    measureSeconds: options.seconds,
    complete: chosen.length === cases.length && options.against.source === ".",
    machine,
    versions: versions(tools),
    cases: results,
    groupVerdicts: groupFloors
      .filter((floor) => floor.cases.every((id) => chosen.some((one) => one.id === id)))
      .map((floor) => judgeGroup(floor, results)),
  };
}

/** table.md and chart.svg are those of the last complete run; a part goes to files of its own. */
function draw(results: Results): void {
  const part = results.complete ? "" : ".partial";
  const table = join(folder, `table${part}.md`);
  const picture = join(folder, `chart${part}.svg`);
  writeFileSync(table, markdown(results));
  writeFileSync(picture, chart(results));
  say(`\nwritten: ${table}, ${picture}`);
}

function keep(results: Results): void {
  const name = results.startedAt.slice(0, 16).replace(":", "").replace("T", "-");
  const path = join(folder, `${name}${results.complete ? "" : ".partial"}.json`);
  writeFileSync(path, `${JSON.stringify(results, null, 1)}\n`);
  say(`written: ${path}`);
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) return print(helpText());
  if (options.list)
    return print(
      cases.map((one) => `${one.id}: ${one.lanes.map(({ contender }) => contender.name).join(", ")}\n`).join(""),
    );
  mkdirSync(folder, { recursive: true });
  if (options.from !== undefined) {
    draw((await Bun.file(options.from).json()) as Results);
    return 0;
  }
  guardExit();
  const results = await measureAll(options);
  draw(results);
  keep(results);
  return print(options.json ? `${JSON.stringify(results)}\n` : (markdown(results).split("<details>")[0] ?? ""));
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

try {
  process.exit(await main());
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`bench: ${error.message}`);
  process.exit(2);
}
