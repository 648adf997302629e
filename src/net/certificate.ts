/** What a peer's certificate says (RFC 5280), in the forms that OpenSSL prints. */
import type { X509Certificate } from "node:crypto";

export interface CertificateFacts {
  /** With a line end after the last line. */
  readonly pem: string;
  /** RFC 2253: "CN=www.example.com,O=Example\, Inc.,C=DE", from the end to the root. */
  readonly subject: string;
  readonly issuer: string;
  /** "/C=DE/O=Example, Inc./CN=www.example.com" */
  readonly subjectOneLine: string;
  readonly issuerOneLine: string;
  /** Hexadecimal, upper case. */
  readonly serial: string;
  /** Of SHA-1, hexadecimal, lower case. */
  readonly fingerprint: string;
  /** "Nov 24 16:02:11 2026 GMT" */
  readonly validFrom: string;
  readonly validTo: string;
}

export function certificateFacts(der: Uint8Array): CertificateFacts {
  const parsed = parse(der);
  const { subject, issuer } = namesOf(der);
  return {
    pem: parsed.toString(),
    subject: rfc2253(subject),
    issuer: rfc2253(issuer),
    subjectOneLine: oneLine(subject),
    issuerOneLine: oneLine(issuer),
    serial: parsed.serialNumber,
    fingerprint: parsed.fingerprint.replaceAll(":", "").toLowerCase(),
    validFrom: parsed.validFrom,
    validTo: parsed.validTo,
  };
}

function parse(der: Uint8Array): X509Certificate {
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  return new X509Certificate(der);
}

/** One part of a name: its type's object identifier, and its value as latin-1 text of UTF-8. */
interface Attribute {
  readonly type: string;
  readonly value: string;
}
/** Several parts on one level are rare. */
type Name = readonly (readonly Attribute[])[];

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** The elements inside of one, in distinguished encoding (X.690). The library has checked it before. */
function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  for (let at = 0; at + 1 < bytes.length; ) {
    const tag = bytes[at++]!;
    let length = bytes[at++]!;
    if (length > 127) {
      const size = length & 127;
      length = bytes.subarray(at, at + size).reduce((value, byte) => value * 256 + byte, 0);
      at += size;
    }
    found.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

const contextZero = 0xa0;

function namesOf(der: Uint8Array): { readonly subject: Name; readonly issuer: Name } {
  const signed = elements(elements(elements(der)[0]?.content ?? nothing)[0]?.content ?? nothing);
  // The version is left out by the oldest.
  const first = signed[0]?.tag === contextZero ? 1 : 0;
  return { issuer: nameOf(signed[first + 2]), subject: nameOf(signed[first + 4]) };
}

const nothing = new Uint8Array(0);

const nameOf = (element: Element | undefined): Name =>
  elements(element?.content ?? nothing).map(({ content }) =>
    elements(content).map((attribute) => {
      const [type, value] = elements(attribute.content);
      return { type: identifier(type?.content ?? nothing), value: text(value) };
    }),
  );

function identifier(bytes: Uint8Array): string {
  const parts: number[] = [];
  let value = 0;
  for (const byte of bytes) {
    value = value * 128 + (byte & 127);
    if ((byte & 128) !== 0) continue;
    if (parts.length === 0)
      parts.push(Math.min(Math.floor(value / 40), 2), value - 40 * Math.min(Math.floor(value / 40), 2));
    else parts.push(value);
    value = 0;
  }
  return parts.join(".");
}

const bmpString = 30;
const universalString = 28;
const utf8String = 12;

function text(element: Element | undefined): string {
  if (element === undefined) return "";
  const bytes = Buffer.from(element.content);
  switch (element.tag) {
    case utf8String:
      return bytes.toString("latin1");
    case bmpString:
      return Buffer.from(
        bytes
          .subarray(0, bytes.length & ~1)
          .swap16()
          .toString("utf16le"),
      ).toString("latin1");
    case universalString:
      return Buffer.from(bytes.filter((_, i) => i % 4 === 3)).toString("latin1");
    default:
      // Older alphabets: latin-1 is what everybody takes them for.
      return Buffer.from(bytes.toString("latin1")).toString("latin1");
  }
}

const typeNames: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.4": "SN",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.9": "street",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "2.5.4.12": "title",
  "2.5.4.13": "description",
  "2.5.4.15": "businessCategory",
  "2.5.4.17": "postalCode",
  "2.5.4.41": "name",
  "2.5.4.42": "GN",
  "2.5.4.43": "initials",
  "2.5.4.44": "generationQualifier",
  "2.5.4.45": "x500UniqueIdentifier",
  "2.5.4.46": "dnQualifier",
  "2.5.4.65": "pseudonym",
  "2.5.4.97": "organizationIdentifier",
  "0.9.2342.19200300.100.1.1": "UID",
  "0.9.2342.19200300.100.1.25": "DC",
  "1.2.840.113549.1.9.1": "emailAddress",
  "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
  "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
  "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
};

const typeName = (type: string): string => typeNames[type] ?? type;

/** RFC 2253 2: the last comes first. */
const rfc2253 = (name: Name): string =>
  [...name]
    .reverse()
    .map((level) => level.map(({ type, value }) => `${typeName(type)}=${escaped(value)}`).join("+"))
    .join(",");

/** RFC 2253 2.4, with what is not ASCII as hexadecimal numbers. */
const escaped = (value: string): string =>
  value
    .replace(/[,+"\\<>;]/g, (char) => `\\${char}`)
    .replace(/^[ #]/, (char) => `\\${char}`)
    .replace(/ $/, "\\ ")
    .replace(/[\x00-\x1f\x7f-\xff]/g, hexOf);

const hexOf = (char: string): string => `\\${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

const oneLine = (name: Name): string =>
  name
    .flat()
    .map(({ type, value }) => `/${typeName(type)}=${value.replace(/[\x00-\x1f\x7f-\xff]/g, oneLineHex)}`)
    .join("");

const oneLineHex = (char: string): string => `\\x${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

/** What verification may find, by the library's names: OpenSSL's number and words (`openssl verify`). */
const verifyErrors: Readonly<Record<string, readonly [code: number, text: string]>> = {
  UNABLE_TO_GET_ISSUER_CERT: [2, "unable to get issuer certificate"],
  UNABLE_TO_GET_CRL: [3, "unable to get certificate CRL"],
  CERT_SIGNATURE_FAILURE: [7, "certificate signature failure"],
  CRL_SIGNATURE_FAILURE: [8, "CRL signature failure"],
  CERT_NOT_YET_VALID: [9, "certificate is not yet valid"],
  CERT_HAS_EXPIRED: [10, "certificate has expired"],
  CRL_NOT_YET_VALID: [11, "CRL is not yet valid"],
  CRL_HAS_EXPIRED: [12, "CRL has expired"],
  DEPTH_ZERO_SELF_SIGNED_CERT: [18, "self-signed certificate"],
  SELF_SIGNED_CERT_IN_CHAIN: [19, "self-signed certificate in certificate chain"],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [20, "unable to get local issuer certificate"],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [21, "unable to verify the first certificate"],
  CERT_CHAIN_TOO_LONG: [22, "certificate chain too long"],
  CERT_REVOKED: [23, "certificate revoked"],
  INVALID_CA: [24, "invalid CA certificate"],
  PATH_LENGTH_EXCEEDED: [25, "path length constraint exceeded"],
  INVALID_PURPOSE: [26, "unsuitable certificate purpose"],
  CERT_UNTRUSTED: [27, "certificate not trusted"],
  CERT_REJECTED: [28, "certificate rejected"],
  HOSTNAME_MISMATCH: [62, "hostname mismatch"],
};

/** Is it the name of something that is wrong with a certificate? */
export const isVerifyError = (name: string | undefined): boolean =>
  name !== undefined && Object.hasOwn(verifyErrors, name);

export interface VerifyFailure {
  readonly name: string;
  readonly code: number;
  readonly text: string;
}

export function verifyFailure(name: string): VerifyFailure {
  const [code, words] = verifyErrors[name] ?? [1, name.toLowerCase().replaceAll("_", " ")];
  return { name, code, text: words };
}
