/** docs/directives.md: every directive and variable of the web side, from the tables of the modules. */
import { nameOf } from "../web/build.ts";
import { context, type Directive, type Directives } from "../web/directive.ts";
import { modules } from "../web/order.ts";
import { coreDirectives } from "../web/site.ts";
import { unsupported } from "../web/unsupported.ts";
import type { FamilyTable, VariableTable } from "../web/variables.ts";

/** What a context is called in Nginx's documentation. */
const contextNames: readonly (readonly [bit: number, name: string])[] = [
  [context.main, "main"],
  [context.events, "events"],
  [context.http, "http"],
  [context.server, "server"],
  [context.serverIf, "if in server"],
  [context.location, "location"],
  [context.locationIf, "if in location"],
  [context.limitExcept, "limit_except"],
  [context.upstream, "upstream"],
  [context.app, "app"],
];

const contextsOf = (bits: number): string =>
  contextNames
    .filter(([bit]) => (bits & bit) !== 0)
    .map(([, name]) => name)
    .join(", ");

// What would end a cell of a table, or begin markup.
const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
const code = (text: string): string => (text === "" ? "" : `\`${text.replaceAll("|", "\\|")}\``);

function directiveRow([key, row]: readonly [string, Directive<unknown>]): string {
  const { summary, deviation, syntax, initialText, contexts } = row;
  const note = deviation === undefined ? "" : ` *${cell(deviation)}.*`;
  return `| \`${nameOf(key)}\` | ${code(syntax)} | ${code(initialText ?? "")} | ${contextsOf(contexts)} | ${cell(summary)}${note} |`;
}

function directiveTable(directives: Directives): string[] {
  const rows = Object.entries(directives);
  if (rows.length === 0) return [];
  return ["", "| directive | takes | default | where | |", "|---|---|---|---|---|", ...rows.map(directiveRow)];
}

function variableTable(variables: VariableTable = {}, families: FamilyTable = {}): string[] {
  const rows = [
    ...Object.entries(variables).map(([name, { summary }]) => `| \`$${name}\` | ${cell(summary)} |`),
    ...Object.entries(families).map(([prefix, { summary }]) => `| \`$${prefix}\`*name* | ${cell(summary)} |`),
  ];
  return rows.length === 0 ? [] : ["", "| variable | |", "|---|---|", ...rows];
}

const coreTitles = [
  "Processes and files",
  "Servers and locations",
  "Limits and timeouts",
  "Errors and redirects",
  "Where files are",
  "Media types",
  "Access in general",
  "Names and addresses",
  "Compression in general",
  "Open files",
  "Requests as Gunicorn reads them",
];

/** The page; `npm run docs` writes it, and a test fails when it is stale. */
export function directivesPage(): string {
  const lines = [
    "# Directives and variables",
    "",
    "What `nginx.conf` may say, as Alicorn reads it. Made from the tables of the modules: `npm run docs`.",
    "Each means what Nginx documents (https://nginx.org/en/docs/); where we differ, the last column says so in italics.",
  ];
  for (const [i, directives] of coreDirectives.entries())
    lines.push("", `## ${coreTitles[i] ?? "More of the core"}`, ...directiveTable(directives));
  for (const { name, directives, variables, families } of modules)
    lines.push("", `## ${name}`, ...directiveTable(directives), ...variableTable(variables, families));
  lines.push(
    "",
    "## Nginx's, but not ours",
    "",
    "A configuration that uses one of these is refused, with this reason:",
    "",
    "| directive | why |",
    "|---|---|",
    ...[...unsupported].map(([name, why]) => `| \`${name}\` | ${cell(why)} |`),
    "",
  );
  return lines.join("\n");
}
