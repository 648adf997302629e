/** The command line of the benchmark. */

export interface Options {
  rounds: number;
  seconds: number;
  /** So often a measurement that other programs disturbed is repeated. */
  retries: number;
  only: RegExp;
  against: RegExp;
  json: boolean;
  list: boolean;
  /** Draw tables and chart of this results file again, measure nothing. */
  from: string | undefined;
  help: boolean;
}

interface OptionRow {
  /** How its value is called in --help; absent: it takes none. */
  value?: string;
  summary: string;
  /** What it changes. */
  read(value: string): Partial<Options>;
}

const rows: Record<string, OptionRow> = {
  "--rounds": {
    value: "N",
    summary: "Measurements of each server, in turns (5).",
    read: (value) => ({ rounds: whole(value) }),
  },
  "--seconds": {
    value: "S",
    summary: "Length of one, in whole seconds (3).",
    read: (value) => ({ seconds: whole(value) }),
  },
  "--retries": {
    value: "N",
    summary: "Repeat a measurement during which others used over 10 % of the CPU, up to N times (0).",
    read: (value) => ({ retries: whole(value, 0) }),
  },
  "--only": { value: "REGEX", summary: "Only cases whose id matches.", read: (value) => ({ only: regex(value) }) },
  "--against": {
    value: "REGEX",
    summary: "Only peers whose name matches.",
    read: (value) => ({ against: regex(value) }),
  },
  "--json": { summary: "Print the results as JSON on standard output.", read: () => ({ json: true }) },
  "--from": { value: "FILE", summary: "Draw tables and chart from a results file.", read: (from) => ({ from }) },
  "--list": { summary: "List the cases and their servers.", read: () => ({ list: true }) },
  "--help": { summary: "Print this.", read: () => ({ help: true }) },
};

/** A mistake on the command line, as a sentence. */
export class UsageError extends Error {}

export function parseOptions(argv: readonly string[]): Options {
  const options: Options = {
    rounds: 5,
    seconds: 3,
    retries: 0,
    only: /./,
    against: /./,
    json: false,
    list: false,
    from: undefined,
    help: false,
  };
  const words = argv.flatMap((word) =>
    word.startsWith("--") && word.includes("=")
      ? [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]
      : [word],
  );
  for (let at = 0; at < words.length; at++) {
    const name = words[at] ?? "";
    const row = rows[name];
    if (!row) throw new UsageError(`unknown option ${name}; see --help`);
    const value = row.value ? words[++at] : "";
    if (value === undefined) throw new UsageError(`${name} needs ${row.value}`);
    Object.assign(options, row.read(value));
  }
  return options;
}

export function helpText(): string {
  const lines = Object.entries(rows).map(
    ([name, row]) => `  ${`${name} ${row.value ?? ""}`.padEnd(18)} ${row.summary}`,
  );
  return `bench/run.ts: measures Alicorn and its peers on this machine.\n\n${lines.join("\n")}\n`;
}

function whole(value: string, least = 1): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < least)
    throw new UsageError(`${value} is not a whole number from ${least} on`);
  return number;
}

function regex(value: string): RegExp {
  try {
    return new RegExp(value, "i");
  } catch {
    throw new UsageError(`${value} is not a regular expression`);
  }
}
