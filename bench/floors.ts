/** Whether the promises of the cases hold for the figures of a run. */
import type { Floor, GroupFloor } from "./cases/case.ts";
import { advantage, type Metric } from "./metrics.ts";
import type { CaseResult, GroupVerdict, LaneResult, Verdict } from "./results.ts";
import { ourName } from "./servers/alicorn.ts";

/** The figure of each floor, and whether it is reached; without them when a side is missing. A run of ours with errors reaches nothing. */
export function judge(floors: readonly Floor[], lanes: readonly LaneResult[]): Verdict[] {
  const ours = lane(lanes, ourName);
  return floors.map((floor) => {
    const value = measured(floor, lanes);
    if (value === undefined) return { floor };
    const enough = floor.kind === "ratio" ? value >= floor.atLeast : value <= floor.atMost;
    return { floor, value, reached: enough && !hasErrors(ours) };
  });
}

function measured(floor: Floor, lanes: readonly LaneResult[]): number | undefined {
  const ours = lane(lanes, ourName)?.medians[floor.metric];
  if (floor.kind === "limit") return ours;
  return ratio(floor.metric, ours, lane(lanes, floor.against)?.medians[floor.metric]);
}

/** The geometric mean of the advantages in the cases of a group. */
export function judgeGroup(floor: GroupFloor, results: readonly CaseResult[]): GroupVerdict {
  const parts = floor.cases.map((id) => {
    const lanes = results.find((one) => one.id === id)?.lanes ?? [];
    return ratio(
      floor.metric,
      lane(lanes, ourName)?.medians[floor.metric],
      lane(lanes, floor.against)?.medians[floor.metric],
    );
  });
  if (parts.length === 0 || parts.some((part) => part === undefined)) return { floor };
  const value = Math.exp(parts.reduce<number>((sum, part) => sum + Math.log(part ?? 1), 0) / parts.length);
  return { floor, value, reached: value >= floor.atLeast };
}

/** Whether any round of the lane had errors. */
export function hasErrors(found: LaneResult | undefined): boolean {
  return found?.rounds.some((round) => round.errors.length > 0) ?? false;
}

/** Our advantage over another lane of the same case, when both have the figure. */
export function ratioTo(metric: Metric, lanes: readonly LaneResult[], other: LaneResult): number | undefined {
  return ratio(metric, lane(lanes, ourName)?.medians[metric], other.medians[metric]);
}

function lane(lanes: readonly LaneResult[], name: string): LaneResult | undefined {
  return lanes.find((one) => one.name === name);
}

function ratio(metric: Metric, ours: number | undefined, theirs: number | undefined): number | undefined {
  return ours === undefined || theirs === undefined ? undefined : advantage(metric, ours, theirs);
}
