/** Certificates and keys from files, or from the configuration itself (`data:`), with OpenSSL's words for what is wrong with them. */
import type { KeyObject, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import type { Configuration } from "../../config/configuration.ts";
import { errorText } from "../../net/libc.ts";

/** It cannot be used: "cannot load certificate "x": BIO_new_file() failed (SSL: …)". */
export class CertificateError extends Error {}

/** A certificate and its key, as PEM. */
export interface Pair {
  readonly chain: string;
  readonly key: string;
  /** What signs: "rsa", "ec", "ed25519". */
  readonly kind: string;
}

/** Gives a source's text; throws the system's error. */
export type ReadSource = (path: string) => string;

export const readSource: ReadSource = (path) => readFileSync(Buffer.from(path, "latin1"), "latin1");

/** Reads what a configuration names. A named pipe gives its text once: web workers, and whoever names it again, have it from there. */
export function configuredSource({ readOnce }: Configuration): ReadSource {
  return (path) => {
    const before = readOnce?.[path];
    if (before !== undefined) return before;
    const isPipe = statSync(Buffer.from(path, "latin1")).isFIFO();
    const text = readSource(path);
    if (isPipe && readOnce !== undefined) readOnce[path] = text;
    return text;
  };
}

/** Absolute, or `data:…`. */
export interface PairPaths {
  readonly certificate: string;
  readonly key: string;
}

/** Throws CertificateError. */
export function loadPair(paths: PairPaths, passwords: readonly string[], read: ReadSource): Pair {
  const chain = certificatesIn(paths.certificate, "certificate", read);
  const keyText = sourceText(paths.key, "certificate key", read);
  const key = privateKey(keyText, paths.key, passwords);
  const [first] = chain;
  if (first === undefined || !first.certificate.checkPrivateKey(key))
    throw new CertificateError(
      `SSL_CTX_use_PrivateKey("${paths.key}") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)`,
    );
  return {
    chain: chain.map(({ pem }) => pem).join(""),
    key: key.export({ type: "pkcs8", format: "pem" }).toString(),
    kind: key.asymmetricKeyType ?? "",
  };
}

/** All certificates of a file as PEM: authorities. Throws CertificateError. */
export const loadAuthorities = (path: string, read: ReadSource): string =>
  certificatesIn(path, "certificate", read)
    .map(({ pem }) => pem)
    .join("");

/** The lists in a file as PEM. Throws CertificateError. */
export function loadRevocations(path: string, read: ReadSource): readonly string[] {
  const found = blocks(sourceText(path, "CRL", read), "X509 CRL");
  if (found.length === 0)
    throw new CertificateError(
      `cannot load CRL "${path}": PEM_read_bio_X509_CRL() failed (SSL: error:0480006C:PEM routines::no start line:Expecting: X509 CRL)`,
    );
  return found;
}

function sourceText(path: string, what: string, read: ReadSource): string {
  if (path.startsWith("data:")) return path.slice("data:".length);
  if (/^(engine|store):/.test(path)) {
    const kind = path.slice(0, path.indexOf(":"));
    throw new CertificateError(`cannot load ${what} "${path}": loading "${kind}:..." ${what}s is not supported`);
  }
  try {
    return read(path);
  } catch (error) {
    throw new CertificateError(
      `cannot load ${what} "${path}": BIO_new_file() failed (SSL: ${openFailure(path, error)})`,
    );
  }
}

/** "error:80000002:system library::No such file or directory:calling fopen(/x, r) error:10000080:BIO routines::no such file" */
function openFailure(path: string, error: unknown): string {
  const code = (error as { readonly code?: string }).code ?? "";
  const errno = (constants.errno as Readonly<Record<string, number>>)[code] ?? 5;
  const text = errorText(errno).replace(/^\d+: /, "");
  const number = (0x8000_0000 + errno).toString(16).toUpperCase();
  const bio = code === "ENOENT" ? "10000080:BIO routines::no such file" : "10080002:BIO routines::system lib";
  return `error:${number}:system library::${text}:calling fopen(${path}, r) error:${bio}`;
}

interface Parsed {
  readonly pem: string;
  readonly certificate: X509Certificate;
}

function certificatesIn(path: string, what: string, read: ReadSource): readonly Parsed[] {
  const found = blocks(sourceText(path, what, read), "(?:TRUSTED |X509 )?CERTIFICATE");
  const failed = (call: string, why: string): CertificateError =>
    new CertificateError(`cannot load ${what} "${path}": ${call}() failed (SSL: ${why})`);
  if (found.length === 0)
    throw failed("PEM_read_bio_X509_AUX", "error:0480006C:PEM routines::no start line:Expecting: TRUSTED CERTIFICATE");
  const { X509Certificate } = crypto();
  return found.map((pem, i) => {
    try {
      const certificate = new X509Certificate(pem);
      // Without what its owner says about whom to trust it for (`TRUSTED CERTIFICATE`), which the library does not take.
      return { pem: pem.includes("TRUSTED") ? certificate.toString() : pem, certificate };
    } catch (error) {
      throw failed(i === 0 ? "PEM_read_bio_X509_AUX" : "PEM_read_bio_X509", (error as Error).message);
    }
  });
}

function blocks(text: string, label: string): string[] {
  const found = text.match(new RegExp(`-----BEGIN ${label}-----[\\s\\S]*?-----END ${label}-----`, "g")) ?? [];
  return found.map((each) => `${each}\n`);
}

function privateKey(text: string, path: string, passwords: readonly string[]): KeyObject {
  const [pem] = blocks(text, "[A-Z0-9 ]*PRIVATE KEY");
  let why = "error:1E08010C:DECODER routines::unsupported";
  if (pem !== undefined) {
    const isEncrypted = /ENCRYPTED/.test(pem.slice(0, 200));
    for (const passphrase of isEncrypted ? passwords : [undefined]) {
      try {
        return crypto().createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
      } catch (error) {
        why = (error as Error).message;
      }
    }
    if (isEncrypted && passwords.length === 0)
      why = "the key is encrypted, and ssl_password_file does not name its pass phrase";
  }
  throw new CertificateError(`cannot load certificate key "${path}": PEM_read_bio_PrivateKey() failed (SSL: ${why})`);
}

const crypto = () => process.getBuiltinModule("node:crypto");

/** Signature schemes (RFC 8446 4.2.3) by the keys that make them. */
const schemes: readonly (readonly [kind: string, codes: readonly number[]])[] = [
  ["ec", [0x0403, 0x0503, 0x0603, 0x0203]],
  ["rsa", [0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201]],
  ["rsa-pss", [0x0809, 0x080a, 0x080b]],
  ["ed25519", [0x0807]],
];

export const signatureKind = (code: number): string | undefined =>
  schemes.find(([, codes]) => codes.includes(code))?.[0];
