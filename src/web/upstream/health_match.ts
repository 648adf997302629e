/** `match NAME { … }`: what a server's answer to a health check must be like. */
import { compileRegex, type Pattern } from "../../config/regex.ts";
import { ConfigError, type Statement } from "../../config/statement.ts";
import type { Headers } from "../../http/headers.ts";
import { context, type Directive } from "../directive.ts";

/** An answer, as far as it was read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** latin-1 text of the first bytes of the body. */
  readonly body: string;
}

/** One condition; `what` is named in the log where it does not hold. */
interface Condition {
  readonly what: "status code" | "header" | "body";
  holds(answer: Answer): boolean;
}

export type Match = readonly Condition[];

/** Without a `match`. */
export const usualMatch: Match = [{ what: "status code", holds: ({ status }) => status >= 200 && status < 400 }];

/** What is wrong with it; undefined: nothing. */
export const failing = (match: Match, answer: Answer): Condition["what"] | undefined =>
  match.find((condition) => !condition.holds(answer))?.what;

export const needsBody = (match: Match): boolean => match.some(({ what }) => what === "body");

const wrong = ({ at }: Statement, text: string): ConfigError => new ConfigError(`invalid parameter "${text}"`, at);

/** `200 300-399`, after a `!`: none of these. */
function statusCondition(statement: Statement): Condition {
  const negated = statement.args[0] === "!";
  const ranges = statement.args.slice(negated ? 1 : 0).map((text) => {
    const [, first, last = first] = /^(\d{3})(?:-(\d{3}))?$/.exec(text) ?? [];
    if (first === undefined) throw wrong(statement, text);
    return [Number(first), Number(last)] as const;
  });
  if (ranges.length === 0) throw new ConfigError('invalid number of arguments in "status"', statement.at);
  const isOne = (status: number): boolean => ranges.some(([first, last]) => status >= first && status <= last);
  return { what: "status code", holds: ({ status }) => isOne(status) !== negated };
}

function pattern({ at }: Statement, text: string): Pattern {
  const made = compileRegex(text, false);
  if (typeof made === "string") throw new ConfigError(made, at);
  return made;
}

type Test = (value: string) => boolean;

/** `= text`, `!= text`, `~ expression`, `!~ expression`. */
function comparison(statement: Statement, operator: string, text: string): Test {
  if (operator === "=") return (value) => value === text;
  if (operator === "!=") return (value) => value !== text;
  if (operator !== "~" && operator !== "!~") throw wrong(statement, operator);
  const found = pattern(statement, text);
  return (value) => found.test(value) === (operator === "~");
}

/** `Name`, `! Name`, `Name = value` …; a field that is not there is "". */
function headerCondition(statement: Statement): Condition {
  const [first = "", second, third] = statement.args;
  if (first === "!" && second !== undefined && third === undefined) {
    const lower = second.toLowerCase();
    return { what: "header", holds: ({ headers }) => !headers.has(lower) };
  }
  const lower = first.toLowerCase();
  if (second === undefined) return { what: "header", holds: ({ headers }) => headers.has(lower) };
  if (third === undefined) throw wrong(statement, second);
  const test = comparison(statement, second, third);
  return {
    what: "header",
    holds({ headers }) {
      const values = headers.all(lower);
      return second.startsWith("!") ? values.every(test) : values.some(test);
    },
  };
}

function bodyCondition(statement: Statement): Condition {
  const [operator = "", text, more] = statement.args;
  if (text === undefined || more !== undefined || !operator.endsWith("~")) throw wrong(statement, operator);
  const test = comparison(statement, operator, text);
  return { what: "body", holds: ({ body }) => test(body) };
}

function conditionOf(statement: Statement): Condition {
  switch (statement.name) {
    case "status":
      return statusCondition(statement);
    case "header":
      return headerCondition(statement);
    case "body":
      return bodyCondition(statement);
    default:
      throw new ConfigError(`unknown directive "${statement.name}"`, statement.at);
  }
}

export const matchRow: Directive<ReadonlyMap<string, Match>> = {
  summary: "What answers to health checks must be like: conditions on their status, fields and body.",
  syntax: "name { status …; header …; body …; }",
  contexts: context.http,
  args: 1,
  initial: new Map(),
  ownBlock: true,
  deviation: "variables are not compared (`require`)",
  parse({ args, at, block = [] }, before = new Map()) {
    const [name = ""] = args;
    if (before.has(name)) throw new ConfigError(`duplicate match "${name}"`, at);
    return new Map([...before, [name, block.map(conditionOf)]]);
  },
};
