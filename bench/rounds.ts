/**
 * Runs one case: finds each lane's best variant, starts all of them, and measures in turns.
 *
 * All servers of a case stay up, idle while another one is measured: an idle server costs no CPU, and none is measured
 * while its caches, its compiled code or its workers are still cold. Memory that they share with each other (libraries)
 * counts in parts, as PSS does. A case marked `fresh` starts its server anew for each measurement instead.
 */
import { join } from "node:path";
import type { Case, Lane } from "./cases/case.ts";
import { judge } from "./floors.ts";
import type { Load, Target } from "./load/load.ts";
import { cpuBetween } from "./measure.ts";
import { advantage, medians } from "./metrics.ts";
import { Server } from "./process.ts";
import type { CaseResult, LaneResult, Round } from "./results.ts";
import type { Command, Place, Variant } from "./servers/contender.ts";
import { missing, type Tools } from "./tools.ts";
import type { Workplace } from "./workplace.ts";

export interface RoundSettings {
  rounds: number;
  /** Length of one measurement. */
  seconds: number;
  tools: Tools;
  workplace: Workplace;
  /** Takes a line of progress. */
  say(line: string): void;
}

/** Long enough to tell variants apart that differ by a tenth; closer ones may be chosen either way. */
const probeSeconds = 1;
/** After the servers' start, before the first turn. */
const calmMs = 500;

/** A lane whose variant and load are chosen. */
interface Entrant {
  result: LaneResult;
  variant: Variant;
  load: Load;
  /** Absent between the measurements of a `fresh` case. */
  running?: Target;
}

export async function runCase(one: Case, settings: RoundSettings): Promise<CaseResult> {
  settings.say(`\n${one.id}: ${one.title}`);
  const results: LaneResult[] = [];
  const entrants: Entrant[] = [];
  for (const lane of one.lanes) {
    const result = emptyResult(lane, settings.tools);
    results.push(result);
    const chosen = result.absent === undefined ? await choose(one, lane, result, settings) : undefined;
    if (chosen) entrants.push(chosen);
    else settings.say(`  ${result.name}: ABSENT, ${result.absent}`);
  }
  try {
    await runRounds(one, entrants, settings);
  } finally {
    await Promise.all(entrants.map((entrant) => entrant.running?.server.stop()));
  }
  for (const result of results) result.medians = medians(result.rounds.map((round) => round.figures));
  const { id, title, chart } = one;
  return {
    id,
    title,
    judge: one.judge,
    ...(chart ? { chart } : {}),
    lanes: results,
    verdicts: judge(one.floors, results),
  };
}

function emptyResult(lane: Lane, tools: Tools): LaneResult {
  const { name, ours, needs } = lane.contender;
  const absent = missing(tools, needs);
  return { name, ours, ...(absent ? { absent } : {}), probes: [], commands: [], rounds: [], medians: {} };
}

/** A variant under a load, and how it did. */
interface Candidate {
  variant: Variant;
  load: Load;
  figure: number;
  /** Without errors: goes before any with. */
  clean: boolean;
}

/** Where variants are tried, and where it is noted. */
interface Search {
  one: Case;
  loads: readonly Load[];
  result: LaneResult;
  settings: RoundSettings;
}

// The best variant under the first load, then the best load for it. `absent` says why when none works.
async function choose(
  one: Case,
  lane: Lane,
  result: LaneResult,
  settings: RoundSettings,
): Promise<Entrant | undefined> {
  const { contender, loads } = lane;
  const [variant] = contender.variants;
  const [load] = loads;
  if (!variant || !load) throw new Error(`${one.id}: ${result.name} has no variant or no load`);
  if (contender.variants.length === 1 && loads.length === 1) return { result, variant, load };
  let best: Candidate | undefined;
  for (const tried of contender.variants) best = await probe({ one, loads, result, settings }, tried, best);
  if (best) return { result, variant: best.variant, load: best.load };
  result.absent = `did not start: ${result.probes.find((each) => each.error)?.error ?? "no figures"}`;
  return undefined;
}

// Tries `variant`, with the other loads too when it is the best so far; gives the best so far.
async function probe(
  { one, loads, result, settings }: Search,
  variant: Variant,
  before: Candidate | undefined,
): Promise<Candidate | undefined> {
  let best = before;
  let server: Server | undefined;
  try {
    const target = await start(one, variant, settings);
    server = target.server;
    for (const load of loads) {
      const { figures, errors } = await measure(target, load, probeSeconds);
      const figure = figures[one.judge];
      const error = errors.length > 0 ? { error: errors.join("; ") } : {};
      result.probes.push({
        variant: variant.label,
        load: load.label,
        ...(figure === undefined ? {} : { figure }),
        ...error,
      });
      if (figure === undefined) break;
      const candidate = { variant, load, figure, clean: errors.length === 0 };
      if (best && !isBetter(one, candidate, best)) break;
      best = candidate;
    }
  } catch (error) {
    result.probes.push({ variant: variant.label, load: "", error: messageOf(error) });
  } finally {
    await server?.stop();
  }
  return best;
}

function isBetter(one: Case, a: Candidate, b: Candidate): boolean {
  return a.clean === b.clean ? advantage(one.judge, a.figure, b.figure) > 1 : a.clean;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A server that runs, and how it was started. */
interface Started extends Target {
  commands: LaneResult["commands"];
}

async function start(one: Case, variant: Variant, settings: RoundSettings): Promise<Started> {
  const place = await settings.workplace.place();
  const commands = variant.commands(place);
  const server = await Server.start(commands, `http://127.0.0.1:${place.port}${one.readyPath}`);
  return { port: place.port, server, commands: commands.map((command) => readable(command, place)) };
}

/** A command line and its files as a reader wants them: without the paths of this run. */
function readable({ argv, files }: Command, place: Place): LaneResult["commands"][number] {
  const short = (text: string): string =>
    [
      [place.folder, "RUN"],
      [place.files, "FILES"],
      [join(import.meta.dir, ".."), "."],
    ].reduce((whole, [from, to]) => whole.replaceAll(from ?? "", to ?? ""), text);
  return {
    argv: argv.map(short),
    files: (files ?? []).map(({ path, text }) => ({ path: short(path), text: short(text) })),
  };
}

async function runRounds(one: Case, entrants: Entrant[], settings: RoundSettings): Promise<void> {
  if (!one.fresh) {
    for (const entrant of entrants) await bringUp(one, entrant, settings);
    await Bun.sleep(calmMs);
  }
  for (let round = 0; round < settings.rounds; round++) {
    // Each round begins with another server, so that none always runs first.
    const turn = round % Math.max(entrants.length, 1);
    for (const entrant of [...entrants.slice(turn), ...entrants.slice(0, turn)]) {
      if (one.fresh) await bringUp(one, entrant, settings);
      if (!entrant.running) continue;
      const measured = await measure(entrant.running, entrant.load, settings.seconds).catch(
        (error: unknown): Round => ({ figures: {}, errors: [messageOf(error)] }),
      );
      entrant.result.rounds.push(measured);
      settings.say(`  ${round + 1}/${settings.rounds} ${line(one, entrant.result.name, measured)}`);
      if (one.fresh) await takeDown(entrant);
    }
  }
}

async function bringUp(one: Case, entrant: Entrant, settings: RoundSettings): Promise<void> {
  entrant.result.variant = entrant.variant.label;
  entrant.result.load = entrant.load.label;
  try {
    const { commands, ...running } = await start(one, entrant.variant, settings);
    entrant.running = running;
    entrant.result.commands = commands;
  } catch (error) {
    entrant.result.absent = `did not start: ${messageOf(error)}`;
    settings.say(`  ${entrant.result.name}: ABSENT, ${entrant.result.absent}`);
  }
}

async function takeDown(entrant: Entrant): Promise<void> {
  await entrant.running?.server.stop();
  delete entrant.running;
}

async function measure(target: Target, load: Load, seconds: number): Promise<Round> {
  await load.warm(target);
  const end = await load.surround?.(target);
  const before = target.server.cpu();
  const outcome = await load.run(target, seconds);
  const { ns, ended } = cpuBetween(before, target.server.cpu());
  const memoryBytes = target.server.memoryBytes();
  const errors = [...outcome.errors, ...((await end?.()) ?? [])];
  if (ended > 0) errors.push(`${ended} server processes ended`);
  const cpu = outcome.requests > 0 ? { cpuUs: ns / 1000 / outcome.requests } : {};
  return { figures: { ...outcome.figures, ...cpu, memoryBytes }, errors };
}

function line(one: Case, name: string, { figures, errors }: Round): string {
  const figure = figures[one.judge];
  const parts = Object.entries(figures).map(
    ([metric, value]) => `${metric} ${value.toFixed(metric === "cpuUs" ? 1 : 0)}`,
  );
  const trouble = errors.length > 0 ? `  ERRORS: ${errors.join("; ")}` : "";
  return `${name}: ${figure === undefined ? "no figure; " : ""}${parts.join(", ")}${trouble}`;
}
