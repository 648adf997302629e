/** HTTPS on the developer's own machine: an authority of its own, made once and trusted once, and certificates that it gives. */
import { generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { StartError } from "../master/plan.ts";

export interface LocalCertificate {
  /** Files. */
  readonly certificate: string;
  readonly key: string;
  /** The authority's certificate: who trusts it sees no warning. */
  readonly authority: string;
}

const dayMs = 86_400_000;
const authorityDays = 3650;
/** Browsers take no certificate that is valid for longer than 825 days. */
const certificateDays = 397;
/** A new one is made when so little is left. */
const leastDays = 30;

const directoryFor = ({ XDG_DATA_HOME: data }: NodeJS.ProcessEnv): string =>
  join(data === undefined || data === "" ? join(homedir(), ".local/share") : data, "alicorn");

/** The certificate for a host name, made if there is none that is good for a while. Throws StartError. */
export async function localCertificate(name: string, environment: NodeJS.ProcessEnv): Promise<LocalCertificate> {
  if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name)) throw new StartError(`--https ${name}: this is no host name`);
  const directory = directoryFor(environment);
  const path = (file: string) => join(directory, file);
  const made = { certificate: path(`${name}.pem`), key: path(`${name}-key.pem`), authority: path("authority.pem") };
  const authorityKey = path("authority-key.pem");
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (!isGood(made.authority, authorityKey)) await makeAuthority(made.authority, authorityKey);
    if (!isGood(made.certificate, made.key, made.authority)) await makeCertificate(name, made, authorityKey);
    return made;
  } catch (error) {
    if (error instanceof Error && "code" in error)
      throw new StartError(`--https ${name}: cannot keep its certificate in ${directory}: ${error.message}`);
    throw error;
  }
}

/** `authority`: who has to have issued it. */
function isGood(file: string, keyFile: string, authority?: string): boolean {
  if (!existsSync(file) || !existsSync(keyFile)) return false;
  const certificate = new X509Certificate(readFileSync(file));
  if (authority !== undefined && !certificate.verify(new X509Certificate(readFileSync(authority)).publicKey))
    return false;
  return Date.parse(certificate.validTo) - Date.now() > leastDays * dayMs;
}

// Loaded when a certificate is to be made: that is once in a year.
const library = async () => (await import("node-forge")).default;

interface Wanted {
  readonly name: string;
  readonly days: number;
  readonly extensions: readonly object[];
}

/** With a new key; signed by `issuer`, or by itself. */
async function make(
  { name, days, extensions }: Wanted,
  issuer: { readonly file: string; readonly key: string } | undefined,
) {
  const { pki, md } = await library();
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const certificate = pki.createCertificate();
  certificate.publicKey = pki.publicKeyFromPem(publicKey);
  // Positive, and never used before.
  certificate.serialNumber = `4${randomBytes(15).toString("hex").slice(1)}`;
  certificate.validity.notBefore = new Date(Date.now() - dayMs);
  certificate.validity.notAfter = new Date(Date.now() + days * dayMs);
  const subject = [
    { name: "organizationName", value: "Alicorn, for development" },
    { name: "commonName", value: name },
  ];
  certificate.setSubject(subject);
  const parent = issuer === undefined ? undefined : pki.certificateFromPem(readFileSync(issuer.file, "utf8"));
  certificate.setIssuer(parent === undefined ? subject : parent.subject.attributes);
  const keyIdentifier = (parent ?? certificate).generateSubjectKeyIdentifier().getBytes();
  certificate.setExtensions([
    ...extensions,
    { name: "subjectKeyIdentifier" },
    { name: "authorityKeyIdentifier", keyIdentifier },
  ]);
  const signingKey = issuer === undefined ? privateKey : readFileSync(issuer.key, "utf8");
  certificate.sign(pki.privateKeyFromPem(signingKey), md.sha256.create());
  return { certificate: pki.certificateToPem(certificate), key: privateKey };
}

async function makeAuthority(file: string, keyFile: string): Promise<void> {
  const extensions = [
    { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
  ];
  const made = await make({ name: "Alicorn's local authority", days: authorityDays, extensions }, undefined);
  save(keyFile, made.key, 0o600);
  save(file, made.certificate, 0o644);
}

async function makeCertificate(name: string, { certificate, key, authority }: LocalCertificate, authorityKey: string) {
  const here =
    name === "localhost"
      ? [
          { type: 7, ip: "127.0.0.1" },
          { type: 7, ip: "::1" },
        ]
      : [];
  const extensions = [
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true },
    { name: "subjectAltName", altNames: [{ type: 2, value: name }, ...here] },
  ];
  const made = await make({ name, days: certificateDays, extensions }, { file: authority, key: authorityKey });
  save(key, made.key, 0o600);
  save(certificate, made.certificate, 0o644);
}

/** In one step: another process may be reading it. */
function save(file: string, text: string, mode: number): void {
  const part = `${file}.${process.pid}`;
  writeFileSync(part, text, { mode });
  renameSync(part, file);
}
