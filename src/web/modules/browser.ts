/** ngx_http_browser_module: variables that tell old browsers from new ones by their User-Agent. */
import { ConfigError, type Place } from "../../config/statement.ts";
import { type Conf, type Directive, everywhere, invalidValue } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";

/** How a browser says what it is: `name` stands somewhere from `skip` on, its version `add` characters behind. */
interface Kind {
  readonly skip: number;
  readonly name: string;
  readonly add: number;
}

// In the order in which they are looked for: Opera claims to be MSIE too.
const kinds: Readonly<Record<string, Kind>> = {
  opera: { skip: 0, name: "Opera", add: "Opera ".length },
  msie: { skip: "Mozilla/4.0 (compatible; ".length, name: "MSIE ", add: "MSIE ".length },
  gecko: { skip: "Mozilla/5.0 (".length, name: "rv:", add: "rv:".length },
  safari: { skip: "Mozilla/5.0 (".length, name: "Safari/", add: "Safari/".length },
  konqueror: { skip: "Mozilla/5.0 (compatible; ".length, name: "Konqueror/", add: "Konqueror/".length },
};
const order = Object.keys(kinds);

interface Modern {
  readonly kind: string;
  /** The least version that is modern. */
  readonly version: number;
}

interface ModernConf {
  /** In the order of `kinds`. */
  readonly browsers: readonly Modern[];
  /** Those that are not listed are modern too. */
  readonly unlisted: boolean;
}

const modernBrowser: Directive<ModernConf> = {
  summary: "From which version on a browser is modern, or that browsers without a line are.",
  syntax: "browser version | unlisted",
  contexts: everywhere,
  args: [1, 2],
  initial: { browsers: [], unlisted: false },
  parse(statement, before = { browsers: [], unlisted: false }) {
    const { args, at } = statement;
    const [name = "", version] = args;
    if (version === undefined) {
      if (name !== "unlisted") throw invalidValue(statement, name);
      return { ...before, unlisted: true };
    }
    const kind = name.toLowerCase();
    if (!order.includes(kind)) throw new ConfigError(`unknown browser name "${name}"`, at);
    const browsers = [...before.browsers, { kind, version: versionOf(version, at) }];
    return { ...before, browsers: browsers.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind)) };
  },
};

function versionOf(text: string, at: Place): number {
  if (!/^[\d.]*$/.test(text)) throw new ConfigError(`invalid browser version "${text}"`, at);
  return versionAt(text, 0);
}

/** "1.5.0.5" as one number, two digits for each part behind the first. */
function versionAt(text: string, from: number): number {
  const [digits = ""] = /^[\d.]*/.exec(text.slice(from)) ?? [];
  let version = 0;
  let scale = 1_000_000;
  for (const part of digits.split(".")) {
    version += Number(part) * scale;
    scale = Math.trunc(scale / 100);
  }
  return version;
}

interface AncientConf {
  readonly words: readonly string[];
  /** Netscape up to version 4. */
  readonly netscape4: boolean;
}

const ancientBrowser: Directive<AncientConf> = {
  summary: "What stands in the User-Agent of ancient browsers; `netscape4`: Netscape's up to version 4.",
  syntax: "string …",
  contexts: everywhere,
  args: [1, Number.POSITIVE_INFINITY],
  initial: { words: [], netscape4: false },
  parse({ args }, before = { words: [], netscape4: false }) {
    return {
      words: [...before.words, ...args.filter((word) => word !== "netscape4")],
      netscape4: before.netscape4 || args.includes("netscape4"),
    };
  },
};

const value = (what: string): Directive<string> => ({
  summary: `The value of $${what}_browser where it has one.`,
  syntax: "string",
  contexts: everywhere,
  args: 1,
  initial: "1",
  initialText: "1",
  parse: ({ args }) => args[0] ?? "",
});

const directives = {
  modern_browser: modernBrowser,
  ancient_browser: ancientBrowser,
  modern_browser_value: value("modern"),
  ancient_browser_value: value("ancient"),
};

type BrowserConf = Conf<typeof directives>;

function isModern(agent: string | undefined, { modern_browser, ancient_browser }: BrowserConf): boolean {
  const { browsers, unlisted } = modern_browser;
  if (agent === undefined) return unlisted;
  if (browsers.length > 0) {
    const listed = isModernVersion(agent, browsers);
    if (listed !== undefined) return listed;
    if (!unlisted) return false;
  }
  if (ancient_browser.netscape4 && /^Mozilla\/[1-4]/.test(agent) && agent.length > "Mozilla/4.72 ".length) return false;
  if (ancient_browser.words.some((word) => agent.includes(word))) return false;
  return unlisted;
}

/** undefined: it is none of these. */
function isModernVersion(agent: string, browsers: readonly Modern[]): boolean | undefined {
  // Who lists no Opera does not mean those that pose as MSIE: of no version are they modern.
  const all = browsers[0]?.kind === "opera" ? browsers : [{ kind: "opera", version: 4_001_000_000 }, ...browsers];
  for (const { kind, version } of all) {
    const { skip, name, add } = kinds[kind] as Kind;
    const at = agent.indexOf(name, skip);
    if (skip >= agent.length || at < 0 || at + add >= agent.length) continue;
    return versionAt(agent, at + add) >= version;
  }
  return undefined;
}

const confKey = Symbol("browser");
const initial: BrowserConf = {
  modern_browser: directives.modern_browser.initial,
  ancient_browser: directives.ancient_browser.initial,
  modern_browser_value: "1",
  ancient_browser_value: "1",
};

function valueIn(exchange: Exchange, modern: boolean): string {
  const conf = (exchange.location.facts?.get(confKey) as BrowserConf | undefined) ?? initial;
  if (isModern(exchange.request.headers.get("user-agent"), conf) !== modern) return "";
  return modern ? conf.modern_browser_value : conf.ancient_browser_value;
}

export const browserModule = defineModule({
  name: "browser",
  directives,
  variables: {
    modern_browser: {
      summary: "`modern_browser_value` for modern browsers, else empty.",
      cached: true,
      get: (exchange) => valueIn(exchange, true),
    },
    ancient_browser: {
      summary: "`ancient_browser_value` for ancient browsers, else empty.",
      cached: true,
      get: (exchange) => valueIn(exchange, false),
    },
    msie: {
      summary: '"1" for Microsoft Internet Explorer of whatever version, else empty.',
      get({ request }) {
        const agent = request.headers.get("user-agent") ?? "";
        const at = agent.indexOf("MSIE ");
        return at >= 0 && at + 7 < agent.length ? "1" : "";
      },
    },
  },
  compile(conf) {
    const isInitial = Object.entries(initial).every(([name, value]) => conf[name as keyof BrowserConf] === value);
    return isInitial ? {} : { facts: [confKey, conf] };
  },
});
