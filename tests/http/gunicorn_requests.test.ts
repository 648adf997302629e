/** Gunicorn's own request corpus, where it lies beside the checkout: the engine must come to the same verdicts. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { gunicornPolicy, type Policy } from "../../src/http/h1/policy.ts";
import { splits, walk } from "./h1_driver.ts";

const file = new URL("../../../shared/exams/gunicorn-requests.json", import.meta.url);

interface Case {
  readonly name: string;
  readonly kind: "valid" | "invalid";
  readonly data_b64: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly expect: {
    readonly exception?: string;
    readonly requests?: readonly {
      readonly method: string;
      readonly raw_uri: string;
      readonly path: string;
      readonly query: string;
      readonly body_b64: string;
    }[];
  };
}

/** Settings that belong to the parser; the others are somebody else's (see `elsewhere`). */
function policyOf(settings: Case["settings"]): Policy {
  const policy: { -readonly [K in keyof Policy]: Policy[K] } = { ...gunicornPolicy };
  // In Gunicorn's harness the peer is trusted, so its forwarder fields pass.
  policy.trustedNames = new Set(["script_name", "path_info"]);
  for (const [name, value] of Object.entries(settings)) {
    if (name === "limit_request_line") policy.requestLineLimit = Number(value);
    else if (name === "limit_request_fields") policy.fieldCountLimit = Number(value);
    else if (name === "limit_request_field_size") policy.fieldLimit = Number(value) || 8190;
    else if (name === "permit_obsolete_folding") policy.obsoleteFolding = value === true;
    else if (name === "strip_header_spaces") policy.spaceBeforeColon = value === true;
    else if (name === "casefold_http_method") policy.foldMethodCase = value === true;
    else if (name === "permit_unconventional_http_method") policy.unconventionalMethods = value === true;
    else if (name === "header_map") policy.underscores = value === "dangerous" ? "keep" : (value as "drop" | "refuse");
    else if (!elsewhere.has(name)) throw new Error(`unknown setting ${name}`);
  }
  return policy;
}

const elsewhere = new Set([
  "forwarded_allow_ips", // whom to believe is decided where the peer's address is known
  "proxy_protocol", // net/proxy_protocol.ts reads it before an engine exists; here it is cut off
]);

/** Verdicts that differ from Gunicorn's, with the reason. */
const differs: Readonly<Record<string, string>> = {
  "invalid 019": "X-Forwarded-* that disagree are refused where trust is known, above the engine",
};

const statuses: Readonly<Record<string, readonly number[]>> = {
  LimitRequestHeaders: [431],
  LimitRequestLine: [414],
  InvalidHTTPVersion: [400, 505],
  UnsupportedTransferCoding: [501],
};

function withoutProxyHeader(bytes: Buffer): Buffer {
  if (bytes.subarray(0, 6).toString() === "PROXY ") return bytes.subarray(bytes.indexOf("\r\n") + 2);
  if (bytes.subarray(0, 12).toString("latin1") === "\r\n\r\n\0\r\nQUIT\n")
    return bytes.subarray(16 + bytes.readUInt16BE(14));
  return bytes;
}

const cases: Case[] = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : [];

for (const each of cases) {
  const { kind, name, settings } = each;
  const title = `${kind} ${name} ${JSON.stringify(settings)}`;
  const reason = differs[`${kind} ${name}`];
  const raw = Buffer.from(each.data_b64, "base64");
  const proxied = settings.proxy_protocol !== undefined && kind === "valid";
  const bytes = new Uint8Array(proxied ? withoutProxyHeader(raw) : raw);

  test.skipIf(reason !== undefined)(title, () => {
    const whole = walk([bytes], { policy: policyOf(settings), ends: true }).lines;
    if (kind === "valid") expect(requestsIn(whole)).toEqual(wanted(each));
    else expectRefused(whole, each.expect.exception ?? "");
    for (const parts of splits(bytes))
      expect(walk(parts, { policy: policyOf(settings), ends: true }).lines).toEqual(whole);
  });
}

test.skipIf(cases.length === 0)("the corpus is whole", () => expect(cases.length).toBe(137));

function wanted(each: Case): string[] {
  return (each.expect.requests ?? []).flatMap(({ method, raw_uri, path, query, body_b64 }) => {
    const body = Buffer.from(body_b64, "base64").toString("latin1");
    // CONNECT names no path; Gunicorn makes one up from the port.
    return [`${method} ${raw_uri} path ${method === "CONNECT" ? "/" : path} query ${query}`, body];
  });
}

/** The same of what the engine said: a line for each request and one for its body. */
function requestsIn(lines: readonly string[]): string[] {
  const found: string[] = [];
  for (const line of lines) {
    const head = /^request ([^ ]+) ([^ ]+) [^ ]+ path ([^ ]+)(?: query ([^ ]+))? host/.exec(line);
    // Trailers, not a last piece of data, end a body that has them.
    const data = /^data (".*")…?$/.exec(line);
    if (head !== null) found.push(`${head[1]} ${head[2]} path ${head[3]} query ${head[4] ?? ""}`, "");
    else if (data !== null) found[found.length - 1] = JSON.parse(data[1] ?? "");
    else if (!/^(closed|data end|trailers .*)$/.test(line)) found.push(line);
  }
  return found;
}

function expectRefused(lines: readonly string[], exception: string): void {
  if (exception === "NoMoreData" || exception === "ChunkMissingTerminator") {
    // The bytes just end: nobody is there to be answered.
    expect(lines.at(-1)).toBe("closed");
    expect(lines.filter((line) => line === "data end" || /^data .*"$/.test(line))).toEqual([]);
    return;
  }
  const refusal = lines.find((line) => line.startsWith("refused"));
  expect(statuses[exception] ?? [400]).toContain(Number(refusal?.split(" ")[1]));
}
