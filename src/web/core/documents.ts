/** `root` and `alias`, compiled. */
import { ConfigError, type Statement } from "../../config/statement.ts";
import type { Block } from "../build.ts";
import { context, type Directive, everywhereIf, type Parsing } from "../directive.ts";
import type { Documents } from "../documents.ts";
import type { Setup } from "../setup.ts";
import type { Template } from "../template.ts";
import type { LocationMatch } from "./http.ts";

interface RootConf {
  readonly kind: "root" | "alias";
  readonly to: Template;
  /** The location that an alias belongs to. */
  readonly match: LocationMatch | undefined;
}

function parse(kind: RootConf["kind"]) {
  return ({ name, args, at }: Statement, before: RootConf | undefined, { setup, block }: Parsing): RootConf => {
    if (before !== undefined)
      throw new ConfigError(
        before.kind === kind
          ? `"${name}" directive is duplicate`
          : `"${name}" directive is duplicate, "${before.kind}" directive was specified earlier`,
        at,
      );
    const text = args[0] ?? "";
    if (/\$(?:document_root|realpath_root|\{document_root\}|\{realpath_root\})(?![A-Za-z0-9_])/.test(text))
      throw new ConfigError(
        `the $${text.includes("realpath") ? "realpath_root" : "document_root"} variable cannot be used in the "${name}" directive`,
        at,
      );
    if (kind === "alias" && ownMatch(block)?.kind === "named")
      throw new ConfigError(`the "alias" directive cannot be used inside the named location`, at);
    // A root's last slash would only double the URI's first.
    const trimmed = kind === "root" ? text.replace(/\/+$/, "") : text;
    return {
      kind,
      to: setup.template(trimmed.includes("$") ? trimmed : pathOf(setup, trimmed), at),
      match: ownMatch(block),
    };
  };
}

const pathOf = (setup: Setup, text: string): string => (text === "" ? "" : setup.path(text));

const ownMatch = (block: Block): LocationMatch | undefined => block.own("location match") as LocationMatch | undefined;

const row = (
  kind: RootConf["kind"],
  rest: Pick<Directive<RootConf | undefined>, "summary" | "contexts" | "initialText">,
): Directive<RootConf | undefined> => ({
  ...rest,
  syntax: "path",
  args: 1,
  initial: undefined,
  slot: "root",
  parse: parse(kind),
});

export const documentDirectives = {
  root: row("root", {
    contexts: everywhereIf,
    initialText: "html",
    summary: "The directory that paths are looked up in.",
  }),
  alias: row("alias", { contexts: context.location, summary: "The directory that stands for the location's path." }),
};

export function compileDocuments(conf: RootConf | undefined, setup: Setup): Documents {
  if (conf === undefined) {
    const html = setup.path("html");
    return rootOf(() => html, true);
  }
  const { to, match, kind } = conf;
  const { prefix } = setup.configuration;
  const directory =
    to.constant === undefined
      ? (exchange: Parameters<typeof to.value>[0]) => absolute(to.value(exchange), prefix)
      : to.value;
  if (kind === "root" || match === undefined || match.kind === "named")
    return rootOf(directory, to.constant !== undefined);
  if (match.kind === "regex")
    // The expression's captures say it all.
    return {
      root: directory,
      path: (exchange, uri) => (exchange.addsUriToAlias ? directory(exchange) + uri : directory(exchange)),
      alias: { prefix: "" },
      isConstant: false,
    };
  const { path } = match;
  return {
    root: directory,
    path: (exchange, uri) => directory(exchange) + uri.slice(path.length),
    alias: { prefix: path },
    isConstant: to.constant !== undefined,
  };
}

const absolute = (path: string, prefix: string): string => (path.startsWith("/") ? path : prefix + path);

const rootOf = (root: Documents["root"], isConstant: boolean): Documents => ({
  root,
  path: (exchange, uri) => root(exchange) + uri,
  alias: undefined,
  isConstant,
});
