/** Under which names responses are kept: hashes of keys, of variants, and the files' paths. */
import { join } from "node:path";
import type { Headers } from "../../http/headers.ts";

/** 16 bytes as latin-1 text. */
export type Hash = string;

const md5 = (text: string): Hash =>
  new Bun.CryptoHasher("md5").update(Buffer.from(text, "latin1")).digest().toString("latin1");

/** As Nginx names entries: the MD5 of the key. */
export const keyHash = (key: string): Hash => md5(key);

const hex = (hash: Hash): string => Buffer.from(hash, "latin1").toString("hex");

/** A file's path: in directories named by the last digits of its own name (`levels=1:2`: x/yz/…yzx). */
export function entryPath(directory: string, levels: readonly number[], hash: Hash): string {
  const name = hex(hash);
  const parts: string[] = [];
  let end = name.length;
  for (const level of levels) {
    parts.push(name.slice(end - level, end));
    end -= level;
  }
  return join(directory, ...parts, name);
}

/** Back from a file's name; undefined: it is not one of ours. */
export function hashOfName(name: string): Hash | undefined {
  return /^[0-9a-f]{32}$/.test(name) ? Buffer.from(name, "hex").toString("latin1") : undefined;
}

/** Fields that are lists: white space in them, empty elements, and upper case mean nothing. */
const lists = new Set(["accept-charset", "accept-encoding", "accept-language"]);

const normalized = (lines: readonly string[]): string =>
  lines
    .join(",")
    .toLowerCase()
    .split(/[ ,]+/)
    .filter((each) => each !== "")
    .join(",");

/** The hash of the request's fields that a response depends on: the name of its variant. `vary`: lower-case names with commas. */
export function variantHash(main: Hash, family: string, vary: string, headers: Headers): Hash {
  let text = main + family;
  for (const name of vary.split(",")) {
    const lines = headers.all(name);
    const value = lists.has(name) ? normalized(lines) : lines.join(", ");
    // Present and empty is something else than absent.
    text += `${name}:${lines.length === 0 ? "" : `=${value}`}\r\n`;
  }
  return md5(text);
}
