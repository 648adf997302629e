/** A line of the access log: text and variables, whose values cannot end their quotes or the line. */
import { hexEscape } from "../base/log.ts";
import { ConfigError, type Place } from "../config/statement.ts";
import type { Exchange } from "./exchange.ts";
import type { Setup } from "./setup.ts";

/** The line for a request, without its end. */
export type LogFormat = (exchange: Exchange) => string;

type Escape = (value: string) => string;

export const escapers: Readonly<Record<"default" | "json" | "none", Escape>> = {
  default: (text) => (hasUnsafe(text) ? text.replace(/["\\\x00-\x1f\x7f-\xff]/g, hexEscape) : text),
  json: (text) => (hasUnsafeInJson(text) ? text.replace(/["\\\x00-\x1f]/g, jsonEscape) : text),
  none: (text) => text,
};

const quote = 0x22;
const backslash = 0x5c;

// Loops: for texts of this length a regular expression takes twice as long.
function hasUnsafe(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === quote || code === backslash) return true;
  }
  return false;
}

function hasUnsafeInJson(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === quote || code === backslash) return true;
  }
  return false;
}

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\b": "\\b",
  "\f": "\\f",
};

const jsonEscape = (char: string): string =>
  shortEscapes[char] ?? `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** `words`: what stands behind the format's name. Throws ConfigError. */
export function readFormat(words: readonly string[], at: Place, setup: Setup): LogFormat {
  const [first = ""] = words;
  const escapeName = first.startsWith("escape=") ? first.slice("escape=".length) : "default";
  const escaped = escapers[escapeName as keyof typeof escapers];
  if (escaped === undefined) throw new ConfigError(`unknown log format escaping "${escapeName}"`, at);
  const text = (first.startsWith("escape=") ? words.slice(1) : words).join("");
  // A variable without a value is "-", and nothing where escapes are another format's matter.
  const empty = escapeName === "default" ? "-" : "";
  const template = setup.template(text, at);
  template.mapValues({
    any: () => remembering(empty, escaped),
    plain: (value) => value ?? empty,
  });
  return (exchange) => template.value(exchange);
}

/** Clients repeat themselves: the same agent, the same address, line after line. */
function remembering(empty: string, escaped: Escape): (value: string | undefined) => string {
  let last = "";
  let lastEscaped = "";
  return (value) => {
    if (value === undefined) return empty;
    if (value !== last) {
      lastEscaped = escaped(value);
      last = value;
    }
    return lastEscaped;
  };
}
