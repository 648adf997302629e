/** The results as Markdown, ready for the README: the promises first, then all figures, then how each server was run. */
import type { Floor } from "./cases/case.ts";
import { hasErrors, ratioTo } from "./floors.ts";
import { type Figures, type Metric, median, metrics } from "./metrics.ts";
import type { CaseResult, LaneResult, Results, Verdict } from "./results.ts";

export function markdown(results: Results): string {
  return `${[heading(results), floorTable(results), figureTable(results), ...settingsOf(results)].join("\n\n")}\n`;
}

function heading(results: Results): string {
  const { startedAt, rounds, measureSeconds, seconds, machine, versions, complete } = results;
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `Measured ${startedAt.slice(0, 10)} on ${machine.cores} cores (${machine.cpu}), Linux ${machine.kernel}, load average ${machine.load.toFixed(2)} beforehand;`,
    `medians of ${rounds} interleaved rounds of ${measureSeconds} s, ${Math.round(seconds / 60)} minutes in all${complete ? "" : " (a part of the cases)"}.`,
    `Programs: ${programs.join(", ")}.`,
    noise(results),
    "Load generator and servers share the cores. CPU per request is that of all the server's processes, Nginx's included; memory is their PSS.",
  ].join("\n");
}

function noise({ cases }: Results): string {
  const shares = cases.flatMap((one) => one.lanes.flatMap((lane) => lane.rounds.map((round) => round.others)));
  if (shares.length === 0) return "Nothing was measured.";
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  return `Other programs used ${percent(median(shares))} of the CPU in the median measurement, ${percent(Math.max(...shares))} in the worst.`;
}

function floorTable({ cases, groupVerdicts }: Results): string {
  const rows = cases.flatMap((one) => one.verdicts.map((verdict) => floorRow(one.title, verdict)));
  const groups = groupVerdicts.map(({ floor, value, reached }) =>
    row([
      floor.title,
      floor.against,
      `≥ ${floor.atLeast}× in ${metrics[floor.metric].title}`,
      value === undefined ? "not measured" : times(value),
      mark(reached),
    ]),
  );
  return [
    row(["scenario", "against", "floor", "measured", "reached"]),
    row(["---", "---", "---", "---:", "---"]),
    ...rows,
    ...groups,
  ].join("\n");
}

function floorRow(title: string, { floor, value, reached }: Verdict): string {
  const shown =
    value === undefined ? "not measured" : floor.kind === "ratio" ? times(value) : metrics[floor.metric].format(value);
  return row([title, floor.kind === "ratio" ? floor.against : "–", floorText(floor), shown, mark(reached)]);
}

function floorText(floor: Floor): string {
  const { title, format } = metrics[floor.metric];
  return floor.kind === "ratio"
    ? `≥ ${Number(floor.atLeast.toFixed(2))}× in ${title}`
    : `${title} ≤ ${format(floor.atMost)}`;
}

/** The columns of figures; the memory column shows the memory per idle connection where that is the question. */
const columns: Metric[] = ["requestsPerSecond", "p50Us", "p99Us", "cpuUs", "memoryBytes"];

function figureTable({ cases }: Results): string {
  const head = row(["scenario", "server", ...columns.map((name) => metrics[name].title), "our advantage", "errors"]);
  const rule = row(["---", "---", ...columns.map(() => "---:"), "---:", "---"]);
  return [head, rule, ...cases.flatMap((one) => one.lanes.map((lane, at) => figureRow(one, lane, at === 0)))].join(
    "\n",
  );
}

function figureRow(one: CaseResult, lane: LaneResult, first: boolean): string {
  const title = first ? `${one.title}` : "";
  const name = lane.ours ? `**${lane.name}**` : lane.name;
  if (lane.absent !== undefined && lane.rounds.length === 0)
    return row([title, name, ...columns.map(() => "–"), "–", `absent: ${lane.absent.split("\n")[0]}`]);
  const figures = columns.map((metric) => cell(metric, lane.medians));
  return row([title, name, ...figures, comparison(one, lane), errorsOf(lane)]);
}

function cell(metric: Metric, { connectionBytes, ...figures }: Figures): string {
  const value = figures[metric as keyof typeof figures];
  const each =
    connectionBytes === undefined || metric !== "memoryBytes"
      ? ""
      : `, ${metrics.connectionBytes.format(connectionBytes)} a connection`;
  return value === undefined ? "–" : `${metrics[metric].format(value)}${each}`;
}

// "5.1× requests/s, 4.2× CPU": how much better we are than this lane.
function comparison(one: CaseResult, lane: LaneResult): string {
  if (lane.ours && lane === one.lanes[0]) return "";
  const shown: Metric[] = [...new Set<Metric>([one.judge, "cpuUs"])];
  const parts = shown.flatMap((metric) => {
    const value = ratioTo(metric, one.lanes, lane);
    return value === undefined ? [] : [`${times(value)} ${metrics[metric].title}`];
  });
  return parts.length > 0 ? parts.join(", ") : "–";
}

function errorsOf(lane: LaneResult): string {
  if (!hasErrors(lane)) return "none";
  const bad = lane.rounds.filter((round) => round.errors.length > 0);
  return `⚠ in ${bad.length} of ${lane.rounds.length} rounds: ${bad[0]?.errors.join("; ")}`;
}

function settingsOf({ cases }: Results): string[] {
  const parts = cases.map((one) => {
    const lanes = one.lanes.filter((lane) => lane.commands.length > 0).map(laneSettings);
    return `<details><summary>${one.title}: how each server was run</summary>\n\n${lanes.join("\n\n")}\n\n</details>`;
  });
  return [
    "Each server ran with the best of the settings that are listed as tried, found by up to three measurements of 1 s each, of which the best counts.",
    ...parts,
  ];
}

function laneSettings(lane: LaneResult): string {
  const tried = lane.probes.map(({ variant, load, figure, error }) => {
    const threads = load.match(/wrk (-t\d)/)?.[1];
    return `${variant}${threads ? ` (wrk ${threads})` : ""}: ${[figure && Number(figure.toPrecision(3)), error?.split("\n")[0]].filter(Boolean).join(", ")}`;
  });
  const commands = lane.commands.map(({ argv, files }) =>
    [argv.join(" "), ...files.map(({ path, text }) => `# ${path}\n${text}`)].join("\n"),
  );
  return [
    `**${lane.name}** – ${lane.variant}; load: \`${lane.load}\``,
    ...(tried.length > 0 ? [`Tried: ${tried.join(" · ")}`] : []),
    `\`\`\`\n${commands.join("\n")}\n\`\`\``,
  ].join("\n\n");
}

const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
const times = (value: number): string => `${value.toFixed(2)}×`;
const mark = (reached: boolean | undefined): string =>
  reached === undefined ? "–" : reached ? "✔ reached" : "✘ not reached";
