/** proxy_cookie_domain, proxy_cookie_path, proxy_cookie_flags: the upstream's cookies as the client should see them. */
import type { Pattern } from "../../config/regex.ts";
import { ConfigError } from "../../config/statement.ts";
import { regexWithVariables } from "../core/http.ts";
import { type Directive, everywhere } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { Template } from "../template.ts";

type From =
  | Template
  | { readonly pattern: Pattern; captured(exchange: Exchange, found: readonly (string | undefined)[]): void };

export type CookieRules = readonly { readonly from: From; readonly to: Template }[];

/** The row for an attribute of cookies. */
export const cookieRow = (attribute: "domain" | "path"): Directive<CookieRules> => ({
  summary: `How the ${attribute} of the upstream's cookies is changed.`,
  syntax: `off | ${attribute} replacement`,
  contexts: everywhere,
  args: [1, 2],
  initial: [],
  initialText: "off",
  parse({ args, at }, before = [], parsing) {
    const [first = "", second] = args;
    if (second === undefined) {
      if (first === "off") return [];
      throw new ConfigError(`invalid parameter "${first}"`, at);
    }
    const caseless = attribute === "domain" || first.startsWith("~*");
    const from: From = first.startsWith("~")
      ? regexWithVariables(first.slice(first.startsWith("~*") ? 2 : 1), caseless, parsing, at)
      : parsing.setup.template(attribute === "domain" && first.startsWith(".") ? first.slice(1) : first, at);
    // The value's own dot stays.
    const to = attribute === "domain" && !first.startsWith("~") && second.startsWith(".") ? second.slice(1) : second;
    return [...before, { from, to: parsing.setup.template(to, at) }];
  },
});

export interface FlagRule {
  readonly cookie: Template | { readonly pattern: Pattern };
  readonly flags: readonly Template[];
}

export const cookieFlagsRow: Directive<readonly FlagRule[]> = {
  summary: "Which flags are set on, or taken from, the upstream's cookies.",
  syntax: "off | cookie [flag …]",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: [],
  initialText: "off",
  parse({ args, at }, before = [], parsing) {
    const [name = "", ...flags] = args;
    if (name === "off" && flags.length === 0) return [];
    const cookie = name.startsWith("~")
      ? regexWithVariables(name.slice(1), true, parsing, at)
      : parsing.setup.template(name, at);
    for (const flag of flags)
      if (!flag.includes("$") && !(flag in flagWords)) throw new ConfigError(`invalid parameter "${flag}"`, at);
    return [...before, { cookie, flags: flags.map((flag) => parsing.setup.template(flag, at)) }];
  },
};

/** Each flag: the attribute, its value, and whether it is set or taken away. */
const flagWords: Readonly<Record<string, readonly [attribute: string, value: string | undefined, set: boolean]>> = {
  secure: ["secure", undefined, true],
  nosecure: ["secure", undefined, false],
  httponly: ["httponly", undefined, true],
  nohttponly: ["httponly", undefined, false],
  samesite: ["samesite", undefined, true],
  "samesite=strict": ["samesite", "Strict", true],
  "samesite=lax": ["samesite", "Lax", true],
  "samesite=none": ["samesite", "None", true],
  nosamesite: ["samesite", undefined, false],
};

const spelled: Readonly<Record<string, string>> = { secure: "Secure", httponly: "HttpOnly", samesite: "SameSite" };

export interface CookieChanges {
  readonly domain: CookieRules;
  readonly path: CookieRules;
  readonly flags: readonly FlagRule[];
}

/** A Set-Cookie value (unchanged unless a rule fits) as the client gets it (RFC 6265 4.1). */
export function changedCookie(exchange: Exchange, changes: CookieChanges, value: string): string {
  const [pair = "", ...given] = value.split(";");
  let isChanged = false;
  let attributes = given
    .map((each) => each.trim())
    .map((each) => {
      const equals = each.indexOf("=");
      return equals < 0
        ? { name: each, value: undefined }
        : { name: each.slice(0, equals), value: each.slice(equals + 1) as string | undefined };
    });
  attributes = attributes.map((attribute) => {
    const rules =
      attribute.name.toLowerCase() === "domain"
        ? changes.domain
        : attribute.name.toLowerCase() === "path"
          ? changes.path
          : undefined;
    if (rules === undefined || attribute.value === undefined) return attribute;
    const isDomain = attribute.name.toLowerCase() === "domain";
    const made = replaced(exchange, rules, attribute.value, isDomain);
    if (made === undefined) return attribute;
    isChanged = true;
    return { name: attribute.name, value: made };
  });
  const name = (pair.split("=")[0] ?? "").trim();
  const rule = changes.flags.find(({ cookie }) =>
    "pattern" in cookie ? cookie.pattern.test(name) : cookie.value(exchange).toLowerCase() === name.toLowerCase(),
  );
  for (const flag of rule?.flags ?? []) {
    const word = flagWords[flag.value(exchange).toLowerCase()];
    if (word === undefined) continue;
    const [attribute, flagValue, set] = word;
    isChanged = true;
    attributes = attributes.filter((each) => each.name.toLowerCase() !== attribute);
    if (set) attributes.push({ name: spelled[attribute] ?? attribute, value: flagValue });
  }
  if (!isChanged) return value;
  return [
    pair,
    ...attributes.map((each) => ` ${each.value === undefined ? each.name : `${each.name}=${each.value}`}`),
  ].join(";");
}

function replaced(exchange: Exchange, rules: CookieRules, value: string, isDomain: boolean): string | undefined {
  for (const { from, to } of rules) {
    if ("pattern" in from) {
      const found = from.pattern.exec(value);
      if (found === undefined) continue;
      from.captured(exchange, found);
      return to.value(exchange);
    }
    const wanted = from.value(exchange);
    if (isDomain) {
      const dot = value.startsWith(".") ? "." : "";
      if (value.slice(dot.length).toLowerCase() === wanted.toLowerCase()) return dot + to.value(exchange);
    } else if (value.startsWith(wanted)) return to.value(exchange) + value.slice(wanted.length);
  }
  return undefined;
}
