/** The results as one SVG picture: horizontal bars, longer is better, legible on light and dark pages. */
import { hasErrors } from "./floors.ts";
import type { CaseResult, LaneResult, Results } from "./results.ts";

const width = 860;
const labelWidth = 200;
const valueWidth = 190;
const barHeight = 18;
const barGap = 4;
const titleHeight = 34;
const margin = 16;
const barMax = width - labelWidth - valueWidth - 2 * margin;

// A picture in <img> follows the reader's colour scheme, and not the page's: mid-range colours stay legible either way.
const style = `
  text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #424a53 }
  .title { font-weight: 600; fill: #1f2328 }
  .note { font-size: 12px; fill: #656d76 }
  .value { font-variant-numeric: tabular-nums }
  .ours { fill: #8250df }
  .peer { fill: #afb8c1 }
  .strong { font-weight: 600; fill: #1f2328 }
  @media (prefers-color-scheme: dark) {
    text { fill: #c0c8d0 }
    .title, .strong { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .ours { fill: #a371f7 }
    .peer { fill: #59636e }
  }
`;

/** Draws the cases that have a `chart`; a lane without figures is named with the reason. */
export function chart(results: Results): string {
  const drawn = results.cases.filter((one) => one.chart !== undefined && one.lanes.length > 0);
  let y = margin;
  const parts: string[] = [];
  for (const one of drawn) {
    const { svg, height } = caseBars(one, y);
    parts.push(svg);
    y += height;
  }
  const { machine, rounds, measureSeconds, startedAt } = results;
  const note = `${startedAt.slice(0, 10)} · ${machine.cores} cores, ${machine.cpu} · medians of ${rounds} rounds of ${measureSeconds} s · longer is better`;
  parts.push(text(margin, y + 18, "note", note));
  const height = y + 18 + margin;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>Alicorn and its peers, requests per second</title>
<style>${style}</style>
${parts.join("\n")}
</svg>
`;
}

function caseBars(one: CaseResult, top: number): { svg: string; height: number } {
  const values = one.lanes.map((lane) => drawnValue(one, lane));
  const most = Math.max(...values.map((value) => value ?? 0), 1);
  const unit = one.chart === "cpuUs" ? "requests per second of CPU" : "requests/s";
  const parts = [text(margin, top + 20, "title", `${one.title} – ${unit}`)];
  one.lanes.forEach((lane, at) => {
    const y = top + titleHeight + at * (barHeight + barGap);
    const middle = y + barHeight - 5;
    const value = values[at];
    parts.push(text(margin + labelWidth - 8, middle, lane.ours ? "strong" : "", lane.name, "end"));
    const length = value === undefined ? 0 : Math.max(1, (value / most) * barMax);
    parts.push(
      `<rect class="${lane.ours ? "ours" : "peer"}" x="${margin + labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
    );
    parts.push(
      text(margin + labelWidth + length + 6, middle, lane.ours ? "value strong" : "value", valueText(one, lane, value)),
    );
  });
  return { svg: parts.join("\n"), height: titleHeight + one.lanes.length * (barHeight + barGap) + 8 };
}

// CPU per request turned round, so that longer is better in every part of the picture.
function drawnValue(one: CaseResult, lane: LaneResult): number | undefined {
  if (one.chart === "cpuUs") return lane.medians.cpuUs === undefined ? undefined : 1e6 / lane.medians.cpuUs;
  return lane.medians.requestsPerSecond;
}

function valueText(one: CaseResult, lane: LaneResult, value: number | undefined): string {
  if (value === undefined) return "not measured";
  const ours = one.lanes.find((each) => each.ours);
  const our = ours && drawnValue(one, ours);
  const ratio = our === undefined || lane.ours ? "" : `  (we: ${(our / value).toFixed(1)}×)`;
  return `${Math.round(value).toLocaleString("en-US")}${ratio}${hasErrors(lane) ? "  ⚠ with errors" : ""}`;
}

function text(x: number, y: number, kind: string, content: string, anchor = "start"): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x.toFixed(1)}" y="${y}" class="${kind}" text-anchor="${anchor}">${escaped}</text>`;
}
