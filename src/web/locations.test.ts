import { describe, expect, test } from "bun:test";
import { bareLocation, exchangeFor } from "../../tests/support/exchange.ts";
import { compileRegex, type Pattern } from "../config/regex.ts";
import { errorReply } from "./error_page.ts";
import { type LocationEntry, Locations } from "./locations.ts";

function pattern(text: string): Pattern {
  const made = compileRegex(text, false);
  if (typeof made === "string") throw new Error(made);
  return made;
}

type Inner = readonly LocationEntry[];

/** As it is written: "/a/", "= /a", "^~ /a/", "~ \.php$". */
function entry(name: string, inner: Inner = []): LocationEntry {
  const [modifier = "", path = modifier] = name.split(" ");
  return {
    match:
      modifier === "~"
        ? { kind: "regex", pattern: pattern(path), captured: (exchange, found) => (exchange.captures = found) }
        : { kind: modifier === "=" ? "exact" : "prefix", path, beforeRegex: modifier === "^~" },
    location: { ...bareLocation, name },
    inner: inner.length === 0 ? undefined : new Locations(inner),
    addSlash: undefined,
  };
}

/** The name of the location that a path belongs to, as a server finds it; "": none. */
function find(locations: Locations, uri: string): string {
  const exchange = exchangeFor("/");
  exchange.uri = uri;
  exchange.location = { ...bareLocation, name: "" };
  const found = locations.find(exchange);
  return typeof found === "object" ? `${found.head.status}` : exchange.location.name;
}

/** Each path of a table leads to its location. */
function leads(entries: readonly LocationEntry[], table: Readonly<Record<string, string>>): void {
  const locations = new Locations(entries);
  for (const [uri, name] of Object.entries(table))
    test(`${uri} is in ${name}`, () => expect(find(locations, uri)).toBe(name));
}

describe("the longest prefix", () => {
  leads([entry("/"), entry("/static/"), entry("/static/deep/"), entry("/stat"), entry("/stats/a"), entry("/stats/b")], {
    "/": "/",
    "/s": "/",
    "/sta": "/",
    "/stat": "/stat",
    "/stati": "/stat",
    "/static": "/stat",
    "/static/": "/static/",
    "/static/a": "/static/",
    "/static/deep": "/static/",
    "/static/deep/": "/static/deep/",
    "/static/deeper": "/static/",
    "/stats": "/stat",
    "/stats/": "/stat",
    "/stats/a": "/stats/a",
    "/stats/ab": "/stats/a",
    "/stats/b": "/stats/b",
    "/STATIC/": "/",
    "": "",
    "*": "",
  });
});

describe("in whatever order they stand, also where one ends in the middle of another's text", () => {
  const names = ["/abc", "/ab", "/abd/x", "/a", "/b"];
  for (const order of [names, [...names].reverse()])
    leads(
      order.map((name) => entry(name)),
      { "/abcd": "/abc", "/ab": "/ab", "/abd/": "/ab", "/abd/xy": "/abd/x", "/az": "/a", "/": "" },
    );
});

describe("an exact one is found before all others, and only by its very path", () => {
  leads([entry("= /a"), entry("~ ^/a"), entry("/")], { "/a": "= /a", "/a/": "~ ^/a", "/A": "/" });
});

describe("expressions stand above prefixes, in their order, unless ^~ says no", () => {
  leads([entry("/"), entry("/files/"), entry("^~ /raw/"), entry("~ \\.php$"), entry("~ ^/files/.*\\.php$")], {
    "/x.php": "~ \\.php$",
    "/files/x.php": "~ \\.php$",
    "/files/x.txt": "/files/",
    "/raw/x.php": "^~ /raw/",
    "/rawx.php": "~ \\.php$",
  });
});

test("an expression that decided leaves its match", () => {
  const exchange = exchangeFor("/user/7");
  expect(new Locations([entry("~ ^/user/(\\d+)$")]).find(exchange)).toBe(true);
  expect(exchange.captures).toEqual(["/user/7", "7"]);
});

describe("locations inside of others", () => {
  const inner = [entry("= /a/exact"), entry("/a/b/"), entry("~ \\.inner$")];
  leads([entry("/"), entry("/a/", inner), entry("~ \\.(inner|outer)$"), entry("~ ^/r/", [entry("~ \\.deep$")])], {
    "/a/": "/a/",
    "/a/exact": "= /a/exact",
    "/a/b/c": "/a/b/",
    "/a/x.inner": "~ \\.inner$",
    // Not found inside: an expression further out may still be.
    "/a/b/x.outer": "~ \\.(inner|outer)$",
    "/x.inner": "~ \\.(inner|outer)$",
    "/r/x": "~ ^/r/",
    "/r/x.deep": "~ \\.deep$",
  });
});

describe("a path that lacks its slash", () => {
  const redirecting = (name: string): LocationEntry => ({
    ...entry(name),
    addSlash: () => errorReply(301),
  });
  leads(
    [entry("/"), redirecting("/app/"), redirecting("/both/"), entry("= /both"), redirecting("/near/"), entry("/near")],
    {
      "/app": "301",
      "/app/": "/app/",
      "/apple": "/",
      // Who has a location of its own needs no slash.
      "/both": "= /both",
      "/near": "/near",
    },
  );
});
