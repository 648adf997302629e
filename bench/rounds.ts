/**
 * Runs one case: finds each lane's best variant, starts all of them, and measures in turns.
 *
 * All servers of a case stay up, idle while another one is measured: an idle server costs no CPU, and none is measured
 * while its caches, its compiled code or its workers are still cold. Memory that they share with each other (libraries)
 * counts in parts, as PSS does. A case marked `fresh` starts its server anew for each measurement instead.
 */
import type { Case, Lane } from "./cases/case.ts";
import { type Choice, choose } from "./choose.ts";
import { judge } from "./floors.ts";
import type { Load, Target } from "./load/load.ts";
import { medians } from "./metrics.ts";
import type { CaseResult, LaneResult, Round } from "./results.ts";
import { missing, type Tools } from "./tools.ts";
import { measure, messageOf, start } from "./trial.ts";
import type { Workplace } from "./workplace.ts";

export interface RoundSettings {
  rounds: number;
  /** Length of one measurement. */
  seconds: number;
  /** So often a disturbed measurement is repeated. */
  retries: number;
  tools: Tools;
  workplace: Workplace;
  /** Takes a line of progress. */
  say(line: string): void;
}

/** Above this share of the machine, others make the figures of a measurement doubtful. */
const disturbed = 0.1;
/** After the servers' start, before the first turn. */
const calmMs = 500;

/** A lane whose variant and load are chosen. */
interface Entrant extends Choice {
  result: LaneResult;
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
    const chosen = result.absent === undefined ? await choose(one, lane, result, settings.workplace) : undefined;
    if (chosen) entrants.push({ ...chosen, result });
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
      const measured = await measureCalmly(
        entrant.running,
        entrant.load,
        one.fresh ? { ...settings, retries: 0 } : settings,
      );
      entrant.result.rounds.push(measured);
      settings.say(`  ${round + 1}/${settings.rounds} ${line(one, entrant.result.name, measured)}`);
      if (one.fresh) await takeDown(entrant);
    }
  }
}

// The least disturbed of up to `retries` + 1 measurements. A new server's first is the only one that a fresh case has.
async function measureCalmly(target: Target, load: Load, { seconds, retries }: RoundSettings): Promise<Round> {
  let calmest = await measure(target, load, seconds);
  for (let retry = 0; retry < retries && calmest.others > disturbed; retry++) {
    const again = await measure(target, load, seconds);
    // One with errors is not replaced: it would hide them.
    if (calmest.errors.length === 0 && again.others < calmest.others) calmest = again;
  }
  return calmest;
}

async function bringUp(one: Case, entrant: Entrant, settings: RoundSettings): Promise<void> {
  entrant.result.variant = entrant.variant.label;
  entrant.result.load = entrant.load.label;
  try {
    const { commands, ...running } = await start(one, entrant.variant, settings.workplace);
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

function line(one: Case, name: string, { figures, errors, others }: Round): string {
  const figure = figures[one.judge];
  const parts = Object.entries(figures).map(
    ([metric, value]) => `${metric} ${value.toFixed(metric === "cpuUs" ? 1 : 0)}`,
  );
  if (others > disturbed) parts.push(`others used ${Math.round(others * 100)} % of the machine`);
  const trouble = errors.length > 0 ? `  ERRORS: ${errors.join("; ")}` : "";
  return `${name}: ${figure === undefined ? "no figure; " : ""}${parts.join(", ")}${trouble}`;
}
