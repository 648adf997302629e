/** ngx_http_rewrite_module: `if`, `set`, `rewrite`, `return`, `break`, one after the other as they are written. */
import type { Stats } from "node:fs";
import { ConfigError, type Place, type Statement } from "../../config/statement.ts";
import type { Reply } from "../../http/message.ts";
import type { Block } from "../build.ts";
import { regexWithVariables } from "../core/http.ts";
import { context, type Directive, flag as flagRow, invalidParameter, type Parsing } from "../directive.ts";
import { errorReply, redirectPage } from "../error_page.ts";
import type { Exchange } from "../exchange.ts";
import { FileFailure } from "../file_access.ts";
import { type Compiling, defineModule } from "../module.ts";
import { encodeArgument } from "../path.ts";
import type { Handler, Jump, Location } from "../pipeline.ts";
import { textReply } from "../reply.ts";
import type { Template } from "../template.ts";

const { http, server, location, serverIf, locationIf } = context;
const here = server | location | serverIf | locationIf;

type Regex = ReturnType<typeof regexWithVariables>;
type Condition = (exchange: Exchange) => boolean;

/** One statement of a script. */
type Step =
  | { readonly kind: "set"; readonly set: (exchange: Exchange, value: string) => void; readonly value: Template }
  | { readonly kind: "if"; readonly condition: Condition; readonly block: Block }
  | { readonly kind: "break" }
  | { readonly kind: "return"; readonly status: number; readonly text: Template | undefined }
  | Rewrite;

interface Rewrite {
  readonly kind: "rewrite";
  readonly regex: Regex;
  readonly path: Template;
  /** Behind the replacement's "?"; undefined: it has none. */
  readonly args: Template | undefined;
  /** The request's own arguments are added. */
  readonly keepsArgs: boolean;
  readonly flag: "next" | "last" | "break" | 301 | 302;
}

type Script = readonly Step[];

const row = (
  rest: Pick<Directive<Script>, "summary" | "syntax" | "args" | "contexts"> & { opens?: number },
  step: (statement: Statement, at: Parsing) => Step,
): Directive<Script> => ({
  ...rest,
  initial: [],
  slot: "rewrite",
  inherit: "never",
  parse: (statement, before = [], at) => [...before, step(statement, at)],
});

const ifIn = (place: number, opens: number): Directive<Script> =>
  row(
    {
      summary: "What holds if a condition is true.",
      syntax: "(condition) { … }",
      args: [1, Number.POSITIVE_INFINITY],
      contexts: place,
      opens,
    },
    (statement, at) => ({
      kind: "if",
      condition: condition(statement, at),
      block: at.opened as Block,
    }),
  );

const directives = {
  rewrite: row(
    {
      summary: "Changes the URI where it matches, or redirects.",
      syntax: "regex replacement [last | break | redirect | permanent]",
      args: [2, 3],
      contexts: here,
    },
    parseRewrite,
  ),
  return: row(
    { summary: "Answers at once.", syntax: "code [text] | code URL | URL", args: [1, 2], contexts: here },
    parseReturn,
  ),
  set: row(
    { summary: "Gives a variable a value.", syntax: "$variable value", args: 2, contexts: here },
    ({ args, at }, { setup }) => {
      const [variable = "", value = ""] = args;
      if (!/^\$./.test(variable)) throw new ConfigError(`invalid variable name "${variable}"`, at);
      return { kind: "set", set: setup.variables.settable(variable.slice(1), at), value: setup.template(value, at) };
    },
  ),
  break: row({ summary: "Ends the script.", syntax: "", args: 0, contexts: here }, () => ({ kind: "break" })),
  if: ifIn(server, serverIf),
  "if@location": ifIn(location, locationIf),
  rewrite_log: flagRow({ contexts: http | here, initial: false, summary: "Whether rewriting is logged as notices." }),
  uninitialized_variable_warn: flagRow({
    contexts: http | here,
    initial: true,
    summary: "Whether the use of variables without a value is logged.",
  }),
};

function parseRewrite({ args, at }: Statement, parsing: Parsing): Rewrite {
  const [pattern = "", given = "", flagWord] = args;
  if (given === "") throw new ConfigError("empty replacement", at);
  const keepsArgs = !given.endsWith("?");
  const replacement = keepsArgs ? given : given.slice(0, -1);
  const isUrl = /^(?:https?:\/\/|\$scheme)/.test(replacement);
  const flag =
    flagWord === undefined
      ? isUrl
        ? 302
        : "next"
      : { last: "last", break: "break", redirect: 302, permanent: 301 }[flagWord];
  if (flag === undefined) throw invalidParameter({ at }, flagWord ?? "");
  const question = replacement.indexOf("?");
  const { setup } = parsing;
  return {
    kind: "rewrite",
    regex: regexWithVariables(pattern, false, parsing, at),
    path: setup.template(question < 0 ? replacement : replacement.slice(0, question), at),
    args: question < 0 ? undefined : setup.template(replacement.slice(question + 1), at),
    keepsArgs,
    // A URL cannot be looked up here, whatever the flag.
    flag: isUrl && typeof flag === "string" ? 302 : (flag as Rewrite["flag"]),
  };
}

function parseReturn({ args, at }: Statement, { setup }: Parsing): Step {
  const [first = "", text] = args;
  if (/^\d{1,3}$/.test(first))
    return { kind: "return", status: Number(first), text: text === undefined ? undefined : setup.template(text, at) };
  if (text !== undefined || !/^(?:https?:\/\/|\$scheme)/.test(first))
    throw new ConfigError(`invalid return code "${first}"`, at);
  return { kind: "return", status: 302, text: setup.template(first, at) };
}

function condition({ args, at }: Statement, parsing: Parsing): Condition {
  const words = conditionWords(args, at);
  const [first = "", operator, last] = words;
  const { setup } = parsing;
  const bad = (word: string) => new ConfigError(`invalid condition "${word}"`, at);
  if (/^!?-/.test(first) && first.length <= 3) {
    if (words.length !== 2) throw bad(first);
    return fileCondition(first, setup.template(operator ?? "", at), bad);
  }
  if (first.length < 2 || !first.startsWith("$") || words.length === 2 || words.length > 3) throw bad(first);
  const value = setup.template(first, at);
  if (operator === undefined || last === undefined) return (exchange) => isTrue(value.value(exchange));
  switch (operator) {
    case "=":
    case "!=": {
      const other = setup.template(last, at);
      const wanted = operator === "=";
      return (exchange) => (value.value(exchange) === other.value(exchange)) === wanted;
    }
    case "~":
    case "~*":
      return matches(value, regexWithVariables(last, operator === "~*", parsing, at), true);
    case "!~":
    case "!~*":
      return matches(value, regexWithVariables(last, operator === "!~*", parsing, at), false);
    default:
      throw new ConfigError(`unexpected "${operator}" in condition`, at);
  }
}

/** The words between the parentheses, which may stand alone or touch the words. */
function conditionWords(args: readonly string[], at: Place): string[] {
  const words = [...args];
  const [first = ""] = words;
  if (!first.startsWith("(")) throw new ConfigError(`invalid condition "${first}"`, at);
  if (first === "(") words.shift();
  else words[0] = first.slice(1);
  const last = words.at(-1) ?? "";
  if (!last.endsWith(")")) throw new ConfigError(`invalid condition "${last}"`, at);
  if (last === ")") words.pop();
  else words[words.length - 1] = last.slice(0, -1);
  return words;
}

const isTrue = (text: string): boolean => text !== "" && text !== "0";

const matches =
  (value: Template, regex: Regex, wanted: boolean): Condition =>
  (exchange) => {
    const found = regex.pattern.exec(value.value(exchange));
    if (found !== undefined) regex.captured(exchange, found);
    else exchange.captures = undefined;
    return (found !== undefined) === wanted;
  };

function fileCondition(operator: string, path: Template, bad: (word: string) => ConfigError): Condition {
  const negated = operator.startsWith("!");
  const test = fileTests[operator.slice(negated ? 2 : 1)];
  if (test === undefined) throw bad(operator);
  return (exchange) => {
    const name = path.value(exchange);
    const found = exchange.location.fileAccess.stat(exchange, name);
    if (!(found instanceof FileFailure)) return test(found) !== negated;
    if (!found.isAbsence) exchange.log("crit", found.about(name));
    return negated;
  };
}

const fileTests: Readonly<Record<string, (found: Stats) => boolean>> = {
  f: (found) => found.isFile(),
  d: (found) => found.isDirectory(),
  e: (found) => found.isFile() || found.isDirectory(),
  // The owner's right to execute it, whoever we are.
  x: (found) => (found.mode & 0o100) !== 0,
};

/** What a script has done so far. */
interface Run {
  readonly inServer: boolean;
  readonly logs: boolean;
  /** The URI is another: its location is to be found. */
  changed: boolean;
}

/** "break": the script ends here. */
type Outcome = Reply | "break" | undefined;

type Operation = (exchange: Exchange, run: Run) => Outcome;

function compileScript(script: Script, at: Compiling): Operation[] {
  return script.map((step): Operation => {
    switch (step.kind) {
      case "set":
        return (exchange) => {
          step.set(exchange, step.value.value(exchange));
          return undefined;
        };
      case "break":
        return (exchange, run) => {
          if (run.changed) exchange.rewrittenInPlace = true;
          run.changed = false;
          return "break";
        };
      case "return":
        return (exchange) => returned(exchange, step.status, step.text);
      case "if":
        return compileIf(step.condition, step.block, at);
      default:
        return (exchange, run) => rewrite(exchange, run, step);
    }
  });
}

function compileIf(holds: Condition, block: Block, at: Compiling): Operation {
  const inner = compileScript(block.conf(directives).rewrite, at);
  const target: Location = at.locationOf(block);
  return (exchange, run) => {
    if (!holds(exchange)) return undefined;
    exchange.location = target;
    return perform(inner, exchange, run);
  };
}

function perform(operations: readonly Operation[], exchange: Exchange, run: Run): Outcome {
  for (const operation of operations) {
    const outcome = operation(exchange, run);
    if (outcome !== undefined) return outcome;
  }
  return undefined;
}

const redirects = new Set([301, 302, 303, 307, 308]);

function returned(exchange: Exchange, status: number, text: Template | undefined): Reply {
  if (text === undefined && (status >= 400 || status === 0)) return errorReply(status);
  if (redirects.has(status)) return redirectPage(exchange, status, text?.value(exchange) ?? "");
  exchange.statusToCome = status;
  return textReply(exchange, status, text?.value(exchange) ?? "");
}

function rewrite(exchange: Exchange, run: Run, { regex, path, args, keepsArgs, flag }: Rewrite): Outcome {
  const found = regex.pattern.exec(exchange.uri);
  if (run.logs)
    exchange.log(
      "notice",
      `"${regex.pattern.source}" ${found === undefined ? "does not match" : "matches"} "${exchange.uri}"`,
    );
  if (found === undefined) {
    exchange.captures = undefined;
    return undefined;
  }
  regex.captured(exchange, found);
  if (typeof flag === "number") return redirected(exchange, run, { path, args, keepsArgs, status: flag });
  exchange.internal = true;
  const uri = path.value(exchange);
  const query = args === undefined ? undefined : inArguments(exchange, args);
  if (query !== undefined) exchange.args = keepsArgs && exchange.args !== "" ? `${query}&${exchange.args}` : query;
  else if (!keepsArgs) exchange.args = "";
  if (run.logs) exchange.log("notice", `rewritten data: "${uri}", args: "${exchange.args}"`);
  if (uri === "") {
    exchange.log("error", "the rewritten URI has a zero length");
    return errorReply(500);
  }
  exchange.uri = uri;
  run.changed = flag !== "break";
  if (flag === "break") exchange.rewrittenInPlace = true;
  return flag === "next" ? undefined : "break";
}

/** Captures of a path that was escaped must not become separators between arguments. */
function inArguments(exchange: Exchange, template: Template): string {
  if (!/[%+]/.test(exchange.request.path)) return template.value(exchange);
  const { captures } = exchange;
  exchange.captures = captures?.map((capture) => capture && encodeArgument(capture));
  const value = template.value(exchange);
  exchange.captures = captures;
  return value;
}

function redirected(
  exchange: Exchange,
  run: Run,
  to: Pick<Rewrite, "path" | "args" | "keepsArgs"> & { readonly status: 301 | 302 },
): Reply {
  let url = unescapeRedirect(inArguments(exchange, to.path));
  if (to.args !== undefined) url += `?${inArguments(exchange, to.args)}`;
  if (to.keepsArgs && exchange.args !== "") url += `${to.args === undefined ? "?" : "&"}${exchange.args}`;
  if (run.logs) exchange.log("notice", `rewritten redirect: "${url}"`);
  return redirectPage(exchange, to.status, url);
}

/** What was escaped as an argument stands for itself in the path of a redirect; what a field could not hold stays escaped. */
function unescapeRedirect(text: string): string {
  let made = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? "";
    const found = char === "%" ? /^[0-9A-Fa-f]{2}/.exec(text.slice(i + 1, i + 3)) : null;
    const code = found === null ? 0 : Number.parseInt(found[0], 16);
    if (char === "?") return made + text.slice(i);
    if (code === 0x3f) return `${made}?${text.slice(i + 3)}`;
    if (code > 0x25 && code < 0x7f) {
      made += String.fromCharCode(code);
      i += 2;
    } else made += char;
  }
  return made;
}

export const rewriteModule = defineModule({
  name: "rewrite",
  directives,
  compile(conf, at) {
    // An `if` is run by the script around it.
    if (conf.rewrite.length === 0 || at.block.isUnnamed) return {};
    const operations = compileScript(conf.rewrite, at);
    const inServer = at.block.kind === server;
    const again: Jump = { to: "location" };
    const handler: Handler = (exchange) => {
      const run: Run = { inServer, logs: conf.rewrite_log, changed: false };
      const outcome = perform(operations, exchange, run);
      if (outcome !== undefined && outcome !== "break") return outcome;
      return run.changed && !inServer ? again : undefined;
    };
    return { rewrite: handler };
  },
});
