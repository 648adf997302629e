/** `--help` and the reference page, from the option table. */
import { type Group, type Option, options } from "./options.ts";

const groups: readonly Group[] = ["Serving", "Python", "Lifetime", "Logs", "Development", "Other"];

const usage = `usage: alicorn [options] MODULE[:VARIABLE]

Serves the WSGI application VARIABLE (default: application, then app) of MODULE over HTTP.
MODULE:factory() calls a function that returns the application.

Other commands:
  alicorn config MODULE …   Prints the configuration that these options stand for.
  alicorn ctl COMMAND       Asks a running service what it does, and tells it what to do (alicorn ctl --help).
  alicorn nginx …           Takes Nginx's command line and nginx.conf.
  alicorn gunicorn …        Takes Gunicorn's command line and gunicorn.conf.py.
`;

function optionsOf(group: Group): Option<unknown>[] {
  return (Object.values(options) as Option<unknown>[]).filter((option) => option.group === group);
}

const withValue = ({ flags, value }: Option<unknown>): string =>
  `${flags.join(", ")}${value === undefined ? "" : ` ${value}`}`;

/** What the user gets who does not give the option; undefined: nothing to say. */
function initialOf({ initial, initialText }: Option<unknown>): string | undefined {
  if (initialText !== undefined) return initialText;
  return typeof initial === "number" || typeof initial === "string" ? String(initial) : undefined;
}

export function helpText(): string {
  const lines = [usage];
  for (const group of groups) {
    lines.push(`${group}:`);
    for (const option of optionsOf(group)) {
      const initial = initialOf(option);
      lines.push(`  ${withValue(option)}`, `        ${option.summary}${initial === undefined ? "" : ` [${initial}]`}`);
    }
    lines.push("");
  }
  return lines.join("\n");
}

/** docs/command-line.md; `npm run docs` writes it, and a test fails when it is stale. */
export function referencePage(): string {
  const lines = [
    "# Command line",
    "",
    "Made from `src/cli/options.ts` by `npm run docs`. Where Gunicorn has an option of the same name, it means the same.",
    "",
    "```",
    usage.trimEnd(),
    "```",
    "",
  ];
  for (const group of groups) {
    lines.push(`## ${group}`, "", "| option | meaning | default |", "|---|---|---|");
    for (const option of optionsOf(group)) {
      lines.push(`| \`${withValue(option)}\` | ${option.summary} | ${initialOf(option) ?? ""} |`);
    }
    lines.push("");
  }
  lines.push(
    "## Exit codes",
    "",
    "| code | meaning |",
    "|---|---|",
    "| 0 | stopped by a signal, or `--check` found nothing wrong |",
    "| 1 | an address, a file or the machine is not as needed |",
    "| 2 | the command line cannot be understood |",
    "| 3 | the application cannot be imported |",
    "| 4 | the module has no such variable, or it is not callable |",
    "",
  );
  return lines.join("\n");
}
