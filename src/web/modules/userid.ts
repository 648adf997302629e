/** ngx_http_userid_module: a cookie by which a client is known again. */
import { parseIpv4, parseIpv6 } from "../../base/address.ts";
import { formatHttpDate } from "../../base/date.ts";
import { ConfigError } from "../../config/statement.ts";
import { parseTime } from "../../config/values.ts";
import { ownHeaders } from "../../http/message.ts";
import { type Conf, choice, type Directive, duplicate, everywhere, number, text } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import type { VariableTable } from "../variables.ts";
import { cookie } from "./core.ts";

const flagWords = ["off", "secure", "httponly", "samesite=strict", "samesite=lax", "samesite=none"] as const;
type Flag = (typeof flagWords)[number];

const flags: Directive<readonly Flag[]> = {
  summary: "Attributes of the cookie.",
  syntax: "off | secure | httponly | samesite=strict | samesite=lax | samesite=none …",
  contexts: everywhere,
  args: [1, 3],
  initial: ["off"],
  initialText: "off",
  parse({ args, at }, before = []) {
    const given = args.map((word): Flag => {
      const found = flagWords.find((each) => each === word.toLowerCase());
      if (found === undefined) throw new ConfigError(`invalid value "${word}"`, at);
      return found;
    });
    return [...before, ...given];
  },
};

/** Seconds; 0: until the browser ends; "max": as long as can be said. */
const expires: Directive<number | "max"> = {
  summary: "How long the browser keeps the cookie; off: until it ends.",
  syntax: "time | max | off",
  contexts: everywhere,
  args: 1,
  initial: 0,
  initialText: "off",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [word = ""] = statement.args;
    if (word === "max") return "max";
    const seconds = word === "off" ? 0 : parseTime(word, "s");
    if (seconds === undefined) throw new ConfigError(`"${statement.name}" directive invalid value`, statement.at);
    return seconds;
  },
};

/** "": none. */
const mark: Directive<string> = {
  summary: "A character in the cookie's end: cookies without it are sent anew.",
  syntax: "letter | digit | = | off",
  contexts: everywhere,
  args: 1,
  initial: "",
  initialText: "off",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const [word = ""] = statement.args;
    if (word === "off") return "";
    if (/^[0-9A-Za-z=]$/.test(word)) return word;
    throw new ConfigError(
      `"${statement.name}" directive value must be "off" or a single letter, digit or "="`,
      statement.at,
    );
  },
};

const orNone = (row: { readonly summary: string; readonly syntax: string }): Directive<string> =>
  text({ ...row, contexts: everywhere, initial: "none", initialText: "none" });

const directives = {
  userid: choice(["off", "log", "v1", "on"], {
    contexts: everywhere,
    initial: "off",
    summary: "Whether clients get a cookie; log: cookies are only noted.",
  }),
  userid_service: number({
    contexts: everywhere,
    initial: undefined,
    initialText: "the server's address",
    summary: "A number of the server in the cookies that it makes.",
  }),
  userid_name: text({ contexts: everywhere, initial: "uid", initialText: "uid", summary: "The cookie's name." }),
  userid_domain: orNone({ summary: "The domain that the cookie is for.", syntax: "name | none" }),
  userid_path: text({
    contexts: everywhere,
    initial: "/",
    initialText: "/",
    summary: "The path that the cookie is for.",
  }),
  userid_expires: expires,
  userid_flags: flags,
  userid_p3p: orNone({ summary: "A P3P field that goes with the cookie.", syntax: "string | none" }),
  userid_mark: mark,
};

interface UserIdConf extends Conf<typeof directives> {
  /** $uid_reset, whoever has defined it. */
  readonly reset: (exchange: Exchange) => string | undefined;
}

/** What is known about a request's client. Identifiers are 16 bytes. */
interface User {
  /** The cookie as it came; undefined: none. */
  readonly cookie: string | undefined;
  readonly got: Buffer | undefined;
  /** What the client is sent; undefined: nothing. null: not yet decided. */
  set: Buffer | undefined | null;
  /** It is another than the one that came. */
  isNew: boolean;
}

const confKey = Symbol("userid");
const userKey = Symbol("user");
const resetKey = Symbol("uid_reset");

/** Characters of base64 without the padding: what follows is a mark, or was spoiled on the way. */
const encodedLength = 22;

function userOf(exchange: Exchange, conf: UserIdConf): User {
  const known = exchange.note<User>(userKey);
  if (known !== undefined) return known;
  const sent = cookie(exchange, conf.userid_name.toLowerCase());
  const user: User = {
    cookie: sent,
    got: sent === undefined ? undefined : decode(exchange, sent),
    set: null,
    isNew: false,
  };
  exchange.setNote(userKey, user);
  return user;
}

function decode(exchange: Exchange, sent: string): Buffer | undefined {
  const line = (): string => exchange.request.headers.all("cookie").join("; ");
  if (sent.length < encodedLength) {
    exchange.log("error", `client sent too short userid cookie "${line()}"`);
    return undefined;
  }
  const [encoded = ""] = sent.slice(0, encodedLength).split("=");
  if (!/^[A-Za-z0-9+/]*$/.test(encoded) || encoded.length % 4 === 1) {
    exchange.log("error", `client sent invalid userid cookie "${line()}"`);
    return undefined;
  }
  const bytes = Buffer.alloc(16);
  Buffer.from(encoded, "base64").copy(bytes);
  // The last number is 0 in no identifier.
  return bytes.readUInt32LE(12) === 0 ? undefined : bytes;
}

/** Four numbers as the machine has them, which is how logs always showed them. */
function textOf(name: string, bytes: Buffer): string {
  let digits = "";
  for (let at = 0; at < 16; at += 4) digits += bytes.readUInt32LE(at).toString(16).toUpperCase().padStart(8, "0");
  return `${name}=${digits}`;
}

function decide(exchange: Exchange, conf: UserIdConf, user: User): Buffer | undefined {
  if (user.set === null) user.set = identify(exchange, conf, user);
  return user.set;
}

function identify(exchange: Exchange, conf: UserIdConf, user: User): Buffer | undefined {
  if (user.got !== undefined) {
    const reset = conf.reset(exchange) ?? "";
    if (reset === "" || reset === "0") {
      const { userid_mark } = conf;
      const isMarked = user.cookie?.slice(encodedLength, encodedLength + 2) === `${userid_mark}=`;
      return userid_mark === "" || isMarked ? undefined : user.got;
    }
    if (reset === "log") exchange.log("notice", `userid cookie "${textOf(conf.userid_name, user.got)}" was reset`);
  }
  user.isNew = true;
  return conf.userid === "v1" ? makeV1(conf) : makeV2(exchange, conf);
}

// Tells this process's identifiers from those of others that began in the same second.
const process16 = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
const origin = ((process16 << 16) | (process.pid & 0xffff)) >>> 0;
const firstV2 = 0x03030302;
let nextV1 = 1;
let nextV2 = firstV2;

const now = (): number => Math.floor(Date.now() / 1000) >>> 0;

function makeV1({ userid_service }: UserIdConf): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE((userid_service ?? 0) >>> 0, 0);
  bytes.writeUInt32LE(now(), 4);
  bytes.writeUInt32LE(origin, 8);
  bytes.writeUInt32LE(nextV1, 12);
  nextV1 = (nextV1 + 0x100) >>> 0;
  return bytes;
}

function makeV2({ client }: Exchange, { userid_service }: UserIdConf): Buffer {
  const bytes = Buffer.alloc(16);
  if (userid_service !== undefined) bytes.writeUInt32BE(userid_service >>> 0, 0);
  else {
    const address = parseIpv4(client.localAddress) ?? parseIpv6(client.localAddress);
    if (address !== undefined) bytes.set(address.slice(-4), 0);
  }
  bytes.writeUInt32BE(now(), 4);
  bytes.writeUInt32BE(origin, 8);
  bytes.writeUInt32BE(nextV2, 12);
  nextV2 = (nextV2 + 0x100) >>> 0;
  if (nextV2 < firstV2) nextV2 = firstV2;
  return bytes;
}

function cookieFor(conf: UserIdConf, user: User, set: Buffer): string {
  const { userid_mark, userid_expires, userid_domain, userid_flags } = conf;
  const encoded = user.isNew ? set.toString("base64").slice(0, encodedLength) : user.cookie?.slice(0, encodedLength);
  let value = `${conf.userid_name}=${encoded}${userid_mark === "" ? "=" : userid_mark}=`;
  if (userid_expires === "max") value += "; expires=Thu, 31-Dec-37 23:55:55 GMT";
  else if (userid_expires > 0) value += `; expires=${cookieDate(now() + userid_expires)}`;
  if (userid_domain !== "none") value += `; domain=${userid_domain}`;
  value += `; path=${conf.userid_path}`;
  for (const each of flagWords) if (each !== "off" && userid_flags.includes(each)) value += `; ${each}`;
  return value;
}

/** "Thu, 31-Dec-37 23:55:55 GMT": the form that cookies had first; years that it could mean twice have four digits. */
function cookieDate(seconds: number): string {
  const found = /^(\w+), (\d+) (\w+) (\d+) (.*)$/.exec(formatHttpDate(seconds));
  const [, weekday, day, month, year = "", time] = found ?? [];
  return `${weekday}, ${day}-${month}-${Number(year) > 2037 ? year : year.slice(-2)} ${time}`;
}

const confOf = ({ location }: Exchange): UserIdConf | undefined =>
  location.facts?.get(confKey) as UserIdConf | undefined;

const variables: VariableTable = {
  uid_got: {
    summary: "The cookie's name and the identifier that the client sent.",
    get({ main }) {
      const conf = confOf(main);
      const got = conf && userOf(main, conf).got;
      return conf && got && textOf(conf.userid_name, got);
    },
  },
  uid_set: {
    summary: "The cookie's name and the identifier that the client is sent.",
    get({ main }) {
      const conf = confOf(main);
      const set = conf && conf.userid !== "log" ? decide(main, conf, userOf(main, conf)) : undefined;
      return conf && set && textOf(conf.userid_name, set);
    },
  },
  uid_reset: {
    summary: 'Neither empty nor 0: the client gets a new identifier; "log": and the log is told.',
    get: ({ main }) => main.note<string>(resetKey) ?? "",
    set({ main }, value) {
      main.setNote(resetKey, value);
    },
  },
};

export const useridModule = defineModule({
  name: "userid",
  directives,
  variables,
  compile(rows, { setup, block }) {
    if (rows.userid === "off") return {};
    const conf: UserIdConf = { ...rows, reset: setup.variables.reader("uid_reset", block.at) };
    const facts = [confKey, conf] as const;
    if (conf.userid === "log") return { facts };
    return {
      facts,
      filter(exchange, { head }) {
        if (exchange.parent !== undefined) return;
        const user = userOf(exchange, conf);
        const set = decide(exchange, conf, user);
        if (set === undefined) return;
        const headers = ownHeaders(head);
        headers.add("Set-Cookie", cookieFor(conf, user, set));
        if (conf.userid_p3p !== "none") headers.add("P3P", conf.userid_p3p);
      },
    };
  },
});
