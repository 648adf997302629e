/**
 * Finds the setting with which a contender does best, so that every peer takes part at its best.
 *
 * Each pair of a variant and a load is measured for a second, and the promising ones again, twice. What counts is the best
 * of a pair's figures and not their mean: whatever else runs on the machine only ever makes a figure worse.
 */
import type { Case, Lane } from "./cases/case.ts";
import type { Load } from "./load/load.ts";
import { advantage } from "./metrics.ts";
import type { LaneResult } from "./results.ts";
import type { Variant } from "./servers/contender.ts";
import { measure, messageOf, type Started, start } from "./trial.ts";
import type { Workplace } from "./workplace.ts";

const probeSeconds = 1;
const passes = 3;
/** Pairs that are this far behind the best one are not measured again. A busy second can cost half. */
const promisingShare = 0.5;

/** A variant under a load, and how it did. */
interface Candidate {
  variant: Variant;
  load: Load;
  running: Started;
  /** The best of its figures; absent before the first. */
  figure?: number;
  /** Of any of its measurements. */
  errors: Set<string>;
}

export interface Choice {
  variant: Variant;
  load: Load;
}

/** The best pair for `lane`, all tries noted in `result.probes`; undefined, with `result.absent`, when none works. */
export async function choose(
  one: Case,
  lane: Lane,
  result: LaneResult,
  workplace: Workplace,
): Promise<Choice | undefined> {
  const { contender, loads } = lane;
  const [variant] = contender.variants;
  const [load] = loads;
  if (!variant || !load) throw new Error(`${one.id}: ${result.name} has no variant or no load`);
  if (contender.variants.length === 1 && loads.length === 1) return { variant, load };
  const candidates: Candidate[] = [];
  try {
    for (const tried of contender.variants)
      candidates.push(...(await bringUp(one, tried, loads, { result, workplace })));
    const best = await compete(one, candidates);
    if (best) return best;
    result.absent = `did not start: ${result.probes.find((probe) => probe.error)?.error ?? "no figures"}`;
    return undefined;
  } finally {
    for (const server of new Set(candidates.map(({ running }) => running.server))) await server.stop();
    result.probes.push(...candidates.map(toProbe));
  }
}

async function bringUp(
  one: Case,
  variant: Variant,
  loads: readonly Load[],
  { result, workplace }: { result: LaneResult; workplace: Workplace },
): Promise<Candidate[]> {
  try {
    const running = await start(one, variant, workplace);
    return loads.map((load) => ({ variant, load, running, errors: new Set<string>() }));
  } catch (error) {
    result.probes.push({ variant: variant.label, load: "", error: messageOf(error) });
    return [];
  }
}

async function compete(one: Case, candidates: readonly Candidate[]): Promise<Candidate | undefined> {
  let left = [...candidates];
  for (let pass = 0; pass < passes && (pass === 0 || left.length > 1); pass++) {
    for (const candidate of left) await tryOnce(one, candidate);
    const best = bestOf(one, left)?.figure;
    if (best === undefined) return undefined;
    left = left.filter(({ figure }) => figure !== undefined && advantage(one.judge, figure, best) >= promisingShare);
  }
  return bestOf(one, left);
}

async function tryOnce(one: Case, candidate: Candidate): Promise<void> {
  const { figures, errors } = await measure(candidate.running, candidate.load, probeSeconds);
  const figure = figures[one.judge];
  for (const error of errors) candidate.errors.add(error);
  if (figure === undefined) return;
  if (candidate.figure === undefined || advantage(one.judge, figure, candidate.figure) > 1) candidate.figure = figure;
}

// One with errors is the best only when all have some.
function bestOf(one: Case, candidates: readonly Candidate[]): Candidate | undefined {
  const measured = candidates.filter(({ figure }) => figure !== undefined);
  const clean = measured.filter(({ errors }) => errors.size === 0);
  const eligible = clean.length > 0 ? clean : measured;
  return eligible.toSorted((a, b) => Math.sign(advantage(one.judge, b.figure ?? 0, a.figure ?? 0) - 1))[0];
}

function toProbe({ variant, load, figure, errors }: Candidate): LaneResult["probes"][number] {
  return {
    variant: variant.label,
    load: load.label,
    ...(figure === undefined ? {} : { figure }),
    ...(errors.size > 0 ? { error: [...errors].join("; ") } : {}),
  };
}
