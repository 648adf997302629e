/** What is measured: one row per figure, with its unit, its good direction and how it is written. */

export type Metric = "requestsPerSecond" | "p50Us" | "p99Us" | "cpuUs" | "memoryBytes" | "connectionBytes";

/** The figures of one measurement, or the medians of several. A figure that a case does not have is absent. */
export type Figures = Partial<Record<Metric, number>>;

interface MetricRow {
  title: string;
  better: "more" | "less";
  format(value: number): string;
}

/** Every figure of the tables, in their order. */
export const metrics: Record<Metric, MetricRow> = {
  requestsPerSecond: { title: "requests/s", better: "more", format: (value) => grouped(value) },
  p50Us: { title: "p50", better: "less", format: milliseconds },
  p99Us: { title: "p99", better: "less", format: milliseconds },
  cpuUs: { title: "CPU per request", better: "less", format: (value) => `${significant(value)} µs` },
  memoryBytes: { title: "memory", better: "less", format: (value) => `${significant(value / 2 ** 20)} MB` },
  connectionBytes: { title: "memory per idle connection", better: "less", format: (value) => `${grouped(value)} B` },
};

export const metricNames = Object.keys(metrics) as Metric[];

/** How many times better `ours` is than `theirs`: above 1 is good, whatever the metric's direction. */
export function advantage(metric: Metric, ours: number, theirs: number): number {
  return metrics[metric].better === "more" ? ours / theirs : theirs / ours;
}

/** The middle value; the mean of the two middle ones when their number is even. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The median of each figure that occurs in `all`. */
export function medians(all: readonly Figures[]): Figures {
  const found: Figures = {};
  for (const metric of metricNames) {
    const values = all.map((figures) => figures[metric]).filter((value) => value !== undefined);
    if (values.length > 0) found[metric] = median(values);
  }
  return found;
}

/** The value below which `share` (0 to 1) of the values lie. NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

function milliseconds(us: number): string {
  return `${significant(us / 1000)} ms`;
}

// 12,345
function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

// Three digits carry all that a shared machine can tell.
function significant(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toString() : value.toPrecision(3);
}
