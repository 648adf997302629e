/** Configurations that are only understood, not served. */
import { Timers } from "../../src/base/timers.ts";
import { systemFiles } from "../../src/config/files.ts";
import { parseText } from "../../src/config/parser.ts";
import { ConfigError } from "../../src/config/statement.ts";
import type { Runtime } from "../../src/web/module.ts";
import type { Server } from "../../src/web/pipeline.ts";
import { type Built, buildConfiguration, Site } from "../../src/web/site.ts";
import { countersOf } from "./counters.ts";

/** Understands the text of a whole configuration. Throws ConfigError. */
export function built(text: string): Built {
  const { statements } = parseText(text, "test.conf", systemFiles());
  return buildConfiguration({ statements, prefix: "/prefix/", file: "test.conf", errorLog: "-" });
}

/** What is said about the text of an http block, without where; undefined: nothing is wrong. */
export function faultOf(http: string): string | undefined {
  try {
    built(`events { } http { ${http} }`);
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.replace(/ in [^ ]*:\d+$/, "");
  }
}

/** Warnings about the text of an http block, without where. */
export const warningsOf = (http: string): string[] =>
  built(`events { } http { ${http} }`).setup.warnings.map((warning) => warning.replace(/ in [^ ]*:\d+$/, ""));

const missing = (what: string) => (): never => {
  throw new Error(`this configuration has no ${what}`);
};

/** What a process would offer to a site that has no applications, no shared memory and no log files. */
export const runtime: Omit<Runtime, "counters" | "timers"> = {
  webWorker: 0,
  log: { wants: () => false, log() {} },
  formatError: (_, message) => message,
  serverToken: "alicorn/test",
  lane: 0,
  app: missing("application"),
  zone: missing("zone"),
  logFile: missing("log file"),
  accessLog: missing("access log"),
};

/** The site of an http block's text. */
export const siteOf = (http: string): Site =>
  new Site(built(`events { } http { access_log off; ${http} }`), {
    ...runtime,
    timers: new Timers(() => 0),
    counters: countersOf(),
  });

/** The server of an http block that has one alone, on port 80. */
export function compiledSite(http: string): Server {
  const address = siteOf(http).addresses.get("0.0.0.0:80");
  if (address === undefined) throw new Error("nobody listens on port 80");
  return address.defaultServer;
}
