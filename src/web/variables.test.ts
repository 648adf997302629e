import { expect, test } from "bun:test";
import { exchangeFor } from "../../tests/support/exchange.ts";
import { ConfigError } from "../config/statement.ts";
import { Exchange } from "./exchange.ts";
import { Variables } from "./variables.ts";

const at = { file: "nginx.conf", line: 3 };

/** How often `counted` and `cached` have been computed. */
let computed = 0;

function make(): Variables {
  computed = 0;
  const known = new Variables();
  known.declare(
    {
      fixed: { summary: "", get: () => "fixed" },
      counted: { summary: "", get: () => String(++computed) },
      cached: { summary: "", cached: true, get: () => String(++computed) },
      cached_nothing: {
        summary: "",
        cached: true,
        get: () => {
          computed++;
          return undefined;
        },
      },
      args: {
        summary: "",
        get: (exchange) => exchange.args,
        set: (exchange, value) => {
          exchange.args = value;
        },
      },
    },
    {
      http_: { summary: "", get: (rest) => (exchange) => exchange.request.headers.get(rest.replaceAll("_", "-")) },
      http_x_: { summary: "", get: (rest) => () => `longer prefix: ${rest}` },
    },
  );
  return known;
}

const read = (known: Variables, name: string, exchange: Exchange) => known.reader(name, at)(exchange);

test("each reading computes anew, unless the variable is remembered: then once per request, its absence included", () => {
  const known = make();
  const exchange = exchangeFor("/");
  const names = ["counted", "counted", "cached", "cached", "cached_nothing", "cached_nothing"];
  expect(names.map((name) => read(known, name, exchange))).toEqual(["1", "2", "3", "3", undefined, undefined]);
  expect(computed).toBe(4);
  expect(read(known, "cached", exchangeFor("/"))).toBe("5");
});

test("set: what is set is read, in this request alone; before it there is none", () => {
  const known = make();
  const set = known.settable("mine", at);
  const other = known.settable("Other", at);
  const exchange = exchangeFor("/");
  expect(read(known, "mine", exchange)).toBeUndefined();
  set(exchange, "1");
  other(exchange, "2");
  set(exchange, "");
  expect([read(known, "mine", exchange), read(known, "MINE", exchange), read(known, "other", exchange)]).toEqual([
    "",
    "",
    "2",
  ]);
  expect(read(known, "mine", exchangeFor("/"))).toBeUndefined();
});

test("set twice in a configuration is one variable", () => {
  const known = make();
  const exchange = exchangeFor("/");
  known.settable("mine", at)(exchange, "a");
  known.settable("MINE", at)(exchange, "b");
  expect(read(known, "mine", exchange)).toBe("b");
});

test("set of a variable that is more than its value changes that", () => {
  const known = make();
  const exchange = exchangeFor("/?before");
  known.settable("args", at)(exchange, "after");
  expect([exchange.args, read(known, "args", exchange)]).toEqual(["after", "after"]);
});

test("set of one of a family: the request's until it is set", () => {
  const known = make();
  const set = known.settable("http_agent", at);
  const exchange = exchangeFor("/", { headers: { Agent: "a browser" } });
  expect(read(known, "http_agent", exchange)).toBe("a browser");
  set(exchange, "nobody");
  expect(read(known, "http_agent", exchange)).toBe("nobody");
});

test("of a family is every name with its prefix, in whatever case; the longest prefix decides", () => {
  const known = make();
  const exchange = exchangeFor("/", { headers: { "User-Agent": "a browser" } });
  expect(read(known, "http_user_agent", exchange)).toBe("a browser");
  expect(read(known, "HTTP_User_Agent", exchange)).toBe("a browser");
  expect(read(known, "http_x_y", exchange)).toBe("longer prefix: y");
});

test("parts of a request see what it has set, and it sees theirs", () => {
  const known = make();
  const set = known.settable("mine", at);
  const parent = exchangeFor("/");
  set(parent, "parent's");
  const { request, client, server, body, startedAt } = parent;
  const part = new Exchange({ request, client, server, body, startedAt, parent }, "/", "");
  expect(read(known, "mine", part)).toBe("parent's");
  set(part, "part's");
  expect(read(known, "mine", parent)).toBe("part's");
});

test("what a module has cannot be made anew; what a statement has made can", () => {
  const known = make();
  const faultOf = (act: () => void): string => {
    try {
      act();
      return "";
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.message;
    }
  };
  const variable = { summary: "", get: () => "mapped" };
  expect(faultOf(() => known.settable("Fixed", at))).toContain('the duplicate "Fixed" variable');
  expect(faultOf(() => known.define("fixed", variable, at))).toContain('the duplicate "fixed" variable');
  expect(faultOf(() => known.reader("nobodys", at))).toContain('unknown "nobodys" variable');
  known.define("mapped", variable, at);
  known.define("mapped", { summary: "", get: () => "mapped later" }, at);
  expect(read(known, "mapped", exchangeFor("/"))).toBe("mapped later");
});

test("map defines, set changes: in one request the set value, else the map's", () => {
  const known = make();
  known.define("both", { summary: "", cached: false, get: () => "map's" }, at);
  const set = known.settable("both", at);
  const exchange = exchangeFor("/");
  expect(read(known, "both", exchange)).toBe("map's");
  set(exchange, "set");
  expect([read(known, "both", exchange), read(known, "both", exchangeFor("/"))]).toEqual(["set", "map's"]);
});
