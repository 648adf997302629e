/** Passwords against the hashes of a password file (`auth_basic_user_file`): crypt(3), Apache's MD5 variant, and LDAP's schemes of RFC 2307. */

import { CString, dlopen, type Pointer } from "bun:ffi";
import { createHash, timingSafeEqual } from "node:crypto";

/** crypt(3) is missing on this system, and a hash needs it. */
export class CryptError extends Error {}

/**
 * Whether the password is the one that was hashed. Both are latin-1 text of their bytes. bcrypt, the slowest, is computed
 * beside the event loop. Throws CryptError.
 */
export function verifyPassword(password: string, hash: string): boolean | Promise<boolean> {
  // Half of these would stop at a NUL: what follows must not be free to choose.
  if (password.includes("\0") || hash.includes("\0")) return false;
  const key = Buffer.from(password, "latin1");
  if (hash.startsWith("$apr1$")) return same(apr1(key, hash), hash);
  if (hash.startsWith("{PLAIN}")) return same(`{PLAIN}${password}`, hash);
  if (hash.startsWith("{SSHA}")) return same(ssha(key, hash), hash);
  if (hash.startsWith("{SHA}")) return same(`{SHA}${sha1(key)}`, hash);
  if (isBcrypt(hash) && key.length <= bcryptBytes) return Bun.password.verify(key, hash).catch(() => false);
  const computed = systemCrypt(key, hash);
  // "*0" and "*1" are crypt's way to say that the hash is none.
  return !computed.startsWith("*") && same(computed, hash);
}

/** bcrypt ignores what is longer; the runtime hashes it first, as nobody else does. */
const bcryptBytes = 72;
const isBcrypt = (hash: string): boolean => /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash);

/** Takes as long for texts that differ early as for those that differ late. */
function same(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one, "latin1"), Buffer.from(other, "latin1")];
  return a.length === b.length && timingSafeEqual(a, b);
}

const sha1 = (...parts: Uint8Array[]): string => sha1Bytes(parts).toString("base64");

function sha1Bytes(parts: readonly Uint8Array[]): Buffer {
  const sum = createHash("sha1");
  for (const part of parts) sum.update(part);
  return sum.digest();
}

const sha1Length = 20;

/** `{SSHA}` and base64 of SHA1(key salt) salt: the salt is behind the hash. */
function ssha(key: Uint8Array, hash: string): string {
  const salt = Buffer.from(hash.slice("{SSHA}".length), "base64").subarray(sha1Length);
  return `{SSHA}${Buffer.concat([sha1Bytes([key, salt]), salt]).toString("base64")}`;
}

const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** In which order the bytes of the sum are written, three as four characters. */
const apr1Order = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
] as const;

const md5 = (parts: readonly Uint8Array[]): Uint8Array => {
  const sum = new Uint8Array(16);
  Bun.MD5.hash(parts.length === 1 ? parts[0]! : Buffer.concat(parts), sum);
  return sum;
};

/** The MD5 crypt of FreeBSD under Apache's prefix, as httpd's documentation of password formats has it. */
function apr1(key: Buffer, hash: string): string {
  const magic = Buffer.from("$apr1$");
  const saltText = /^[^$]{0,8}/.exec(hash.slice(magic.length))![0];
  const salt = Buffer.from(saltText, "latin1");
  const inner = md5([key, salt, key]);
  const parts: Uint8Array[] = [key, magic, salt];
  for (let left = key.length; left > 0; left -= 16) parts.push(inner.subarray(0, Math.min(left, 16)));
  // The bits of the length choose between a zero and the key's first byte.
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? Buffer.of(0) : key.subarray(0, 1));
  let sum = md5(parts);
  for (let round = 0; round < 1000; round++) {
    const odd = round % 2 === 1;
    const mixed: Uint8Array[] = [odd ? key : sum];
    if (round % 3 !== 0) mixed.push(salt);
    if (round % 7 !== 0) mixed.push(key);
    mixed.push(odd ? sum : key);
    sum = md5(mixed);
  }
  const text = apr1Order.map(([a, b, c]) => to64((sum[a]! << 16) | (sum[b]! << 8) | sum[c]!, 4));
  return `$apr1$${saltText}$${text.join("")}${to64(sum[11]!, 2)}`;
}

function to64(value: number, characters: number): string {
  let text = "";
  for (let left = value; text.length < characters; left >>= 6) text += alphabet[left & 63];
  return text;
}

const signatures = { crypt_r: { args: ["ptr", "ptr", "ptr"], returns: "ptr" } } as const;
/** Enough for every library's `struct crypt_data`: glibc's has 131,232 bytes, libxcrypt's 32,768, musl's 260. */
const workBytes = 256 * 1024;

let opened: { readonly crypt: ReturnType<typeof openCrypt>; readonly work: Uint8Array } | undefined;

function systemCrypt(key: Uint8Array, setting: string): string {
  opened ??= { crypt: openCrypt(), work: new Uint8Array(workBytes) };
  const { crypt, work } = opened;
  // As arrays, not as pointers: the second allocation must not be the end of the first.
  const found = crypt(Buffer.concat([key, Buffer.of(0)]), Buffer.from(`${setting}\0`, "latin1"), work);
  const text = found === null ? "*0" : new CString(Number(found) as Pointer).toString();
  // The key's traces.
  work.fill(0);
  return text;
}

function openCrypt() {
  const musl = `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`;
  for (const name of ["libcrypt.so.1", "libcrypt.so.2", musl]) {
    try {
      return dlopen(name, signatures).symbols.crypt_r;
    } catch {
      // The next may be there.
    }
  }
  throw new CryptError("crypt() is missing on this system: install libcrypt (Debian: libcrypt1)");
}
