/** Configurations that are only understood, not served. */
import { systemFiles } from "../../src/config/files.ts";
import { parseText } from "../../src/config/parser.ts";
import { ConfigError } from "../../src/config/statement.ts";
import { type Built, buildConfiguration } from "../../src/web/site.ts";

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
