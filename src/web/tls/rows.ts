/** The directives of TLS with clients: ngx_http_ssl_module. */
import { dirname, isAbsolute, join } from "node:path";
import { ConfigError, type Statement } from "../../config/statement.ts";
import { parseOffset, parseTime } from "../../config/values.ts";
import { failureText } from "../../net/libc.ts";
import { type TlsVersion, tlsVersions } from "../../net/secure_context.ts";
import {
  choice,
  context,
  type Directive,
  duplicate,
  flag,
  invalidParameter,
  number,
  seconds,
  size,
  text,
} from "../directive.ts";
import type { Setup } from "../setup.ts";
import type { Template } from "../template.ts";
import { configuredSource, readSource } from "./certificates.ts";

const contexts = context.http | context.server;

/** Paths of certificates begin beside the configuration file. */
export function certificatePath(given: string, { configuration: { file, prefix } }: Setup): string {
  if (/^(data|engine|store):/.test(given) || isAbsolute(given) || given === "") return given;
  return join(file === "" ? prefix : dirname(file), given);
}

/** A file that the configuration names once: missing ones are found when it is read. Throws ConfigError. */
function readNamed(path: string, { at }: Statement, failure: (reason: string) => string, read = readSource): string {
  try {
    return read(path);
  } catch (error) {
    throw new ConfigError(failure(failureText(error)), at);
  }
}

const file = (summary: string, deviation?: string): Directive<string | undefined> => ({
  ...text({ contexts, initial: undefined, summary, syntax: "file", ...(deviation === undefined ? {} : { deviation }) }),
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    return certificatePath(statement.args[0] ?? "", setup);
  },
});

const files = (summary: string): Directive<readonly Template[]> => ({
  summary,
  syntax: "file | data:PEM",
  contexts,
  args: 1,
  initial: [],
  parse: ({ args, at }, before = [], { setup }) => [...before, setup.template(args[0] ?? "", at)],
});

const oldProtocols = ["SSLv2", "SSLv3"];

export const protocolsRow = (contexts: number): Directive<readonly TlsVersion[]> => ({
  summary: "Versions of TLS that are spoken.",
  syntax: "[SSLv2] [SSLv3] [TLSv1] [TLSv1.1] [TLSv1.2] [TLSv1.3]",
  contexts,
  args: [1, Number.POSITIVE_INFINITY],
  initial: ["TLSv1.2", "TLSv1.3"],
  initialText: "TLSv1.2 TLSv1.3",
  deviation: "SSLv2 and SSLv3 are ignored with a warning: nobody should speak them.",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const found: TlsVersion[] = [];
    for (const word of statement.args) {
      const version = tlsVersions.find((each) => each.toLowerCase() === word.toLowerCase());
      const isOld = oldProtocols.some((each) => each.toLowerCase() === word.toLowerCase());
      if (version === undefined && !isOld) throw new ConfigError(`invalid value "${word}"`, statement.at);
      if (isOld) setup.warn(`"ssl_protocols ${word}" is ignored: it is not secure`, statement.at);
      else if (version !== undefined) found.push(version);
    }
    return found;
  },
});

export interface CertificateCache {
  readonly max: number;
  readonly validMs: number;
  readonly inactiveMs: number;
}

export function parseCertificateCache({ args, at }: Statement): CertificateCache | false {
  let max = 0;
  let validMs = 60_000;
  let inactiveMs = 10_000;
  let isOff = false;
  for (const word of args) {
    const [name, value = ""] = word.split("=");
    const ms = parseTime(value, "s");
    if (name === "max" && /^[1-9]\d{0,8}$/.test(value)) max = Number(value);
    else if (name === "valid" && ms !== undefined) validMs = ms * 1000;
    else if (name === "inactive" && ms !== undefined) inactiveMs = ms * 1000;
    else if (word === "off") isOff = true;
    else throw invalidParameter({ at }, word);
  }
  if (isOff) return false;
  if (max === 0) throw new ConfigError('"ssl_certificate_cache" must have the "max" parameter', at);
  return { max, validMs, inactiveMs };
}

const certificateCache: Directive<CertificateCache | false> = {
  summary: "For how long files that are named with variables are remembered.",
  syntax: "off | max=N [inactive=time] [valid=time]",
  contexts,
  args: [1, 3],
  initial: false,
  initialText: "off",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    return parseCertificateCache(statement);
  },
};

/** Pass phrases, one a line. */
export const passwordFile: Directive<readonly string[] | undefined> = {
  summary: "A file of pass phrases of keys, one a line; each is tried.",
  syntax: "file",
  contexts,
  args: 1,
  initial: undefined,
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const path = certificatePath(statement.args[0] ?? "", setup);
    const read = configuredSource(setup.configuration);
    const all = readNamed(path, statement, (reason) => `open() "${path}" failed (${reason})`, read);
    return all.split("\n").flatMap((each) => (each.replace(/\r$/, "") === "" ? [] : [each.replace(/\r$/, "")]));
  },
};

const smallestZone = 8 * 4096;

const sessionCache: Directive<true | undefined> = {
  summary: "Where sessions are kept for clients that come again.",
  syntax: "off | none | [builtin[:size]] [shared:name:size]",
  contexts,
  args: [1, 2],
  initial: undefined,
  initialText: "none",
  deviation:
    "Accepted. The runtime keeps no sessions: clients that come again bring theirs along as tickets (`ssl_session_tickets`).",
  parse({ args, at }) {
    for (const word of args) {
      const bytes = parseOffset(/^shared:[^:]+:(.+)$/.exec(word)?.[1] ?? "");
      if (bytes !== undefined && bytes < smallestZone)
        throw new ConfigError(`session cache "${word}" is too small`, at);
      if (bytes === undefined && !/^(off|none|builtin(:\d{1,9})?)$/.test(word))
        throw new ConfigError(`invalid session cache "${word}"`, at);
    }
    return true;
  },
};

const ticketKey: Directive<true | undefined> = {
  summary: "A file with a key for session tickets.",
  syntax: "file",
  contexts,
  args: 1,
  initial: undefined,
  deviation: "Checked, not used: each web worker makes its own keys, and a ticket is good for the worker that gave it.",
  parse(statement, _, { setup }) {
    const path = certificatePath(statement.args[0] ?? "", setup);
    const key = readNamed(path, statement, (reason) => `open() "${path}" failed (${reason})`);
    if (key.length !== 48 && key.length !== 80) throw new ConfigError(`"${path}" must be 48 or 80 bytes`, statement.at);
    return true;
  },
};

const dhparam: Directive<true | undefined> = {
  summary: "A file with parameters for ciphers with DHE.",
  syntax: "file",
  contexts,
  args: 1,
  initial: undefined,
  deviation: "Checked, not used: the runtime has no such ciphers; their successors with ECDHE are what clients speak.",
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const path = certificatePath(statement.args[0] ?? "", setup);
    readNamed(path, statement, (reason) => `BIO_new_file("${path}") failed (SSL: ${reason})`);
    return true;
  },
};

export const confCommands = (contexts: number): Directive<readonly Statement[]> => ({
  summary: "A setting of OpenSSL by its name.",
  syntax: "name value",
  contexts,
  args: 2,
  initial: [],
  deviation:
    "Those that the runtime's library knows, too: protocols, ciphers, curves, certificates, the usual options.",
  parse: (statement, before = []) => [...before, statement],
});

/** A feature that there is not: asking for it is warned of, as nothing becomes less secure without it. */
const ignored = (summary: string, why: string): Directive<boolean> => ({
  ...flag({ contexts, initial: false, summary, deviation: `Ignored with a warning: ${why}.` }),
  parse(statement, before, { setup }) {
    if (before !== undefined) throw duplicate(statement);
    const [word = ""] = statement.args;
    if (word !== "on" && word !== "off")
      throw new ConfigError(
        `invalid value "${word}" in "${statement.name}" directive, it must be "on" or "off"`,
        statement.at,
      );
    if (word === "on") setup.warn(`"${statement.name}" is ignored: ${why}`, statement.at);
    return word === "on";
  },
});

/** … and of which the security of a set-up would depend: refused. */
const ocsp: Directive<"off"> = {
  summary: "Whether clients' certificates are asked about at their issuers.",
  syntax: "on | off | leaf",
  contexts,
  args: 1,
  initial: "off",
  initialText: "off",
  deviation: "Only off: certificates that have been called back are known from lists (`ssl_crl`).",
  parse({ args, at }) {
    if (args[0] === "off") return "off";
    throw new ConfigError(`"ssl_ocsp ${args[0]}" is Nginx's, but Alicorn does not ask certificates' issuers;`, at);
  },
};

const stapling = "the runtime cannot staple answers of certificates' issuers";

const unused = (summary: string): Directive<string | undefined> =>
  text({ contexts, initial: undefined, summary, syntax: "string", deviation: "Accepted, not used." });

/** Forward secrecy and authenticated encryption: whatever clients of the last ten years speak (RFC 9325 4.2). */
const soundCiphers = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

export const sslDirectives = {
  ssl_certificate: files("The server's certificate with those that lead to a known authority; one per kind of key."),
  ssl_certificate_key: files("The key of the certificate at the same place."),
  ssl_certificate_cache: certificateCache,
  ssl_password_file: passwordFile,
  ssl_certificate_compression: ignored("Whether certificates are sent compressed.", "the runtime cannot compress them"),
  ssl_dhparam: dhparam,
  ssl_ecdh_curve: text({
    contexts,
    initial: "auto",
    initialText: "auto",
    syntax: "curve[:curve …]",
    summary: "Groups for the key exchange.",
    deviation: "Groups that the runtime does not have are left out with a warning.",
  }),
  ssl_protocols: protocolsRow(contexts),
  ssl_ciphers: text({
    contexts,
    initial: soundCiphers,
    initialText: "ECDHE with AES-GCM or ChaCha20-Poly1305",
    syntax: "ciphers",
    summary: "Ciphers up to TLS 1.2, in OpenSSL's notation.",
    deviation:
      "`@SECLEVEL` has no effect. Nginx's default is `HIGH:!aNULL:!MD5`, with ciphers without forward secrecy and with CBC among them.",
  }),
  ssl_buffer_size: size({
    contexts,
    initial: 16_384,
    initialText: "16k",
    summary: "The longest record that is sent: short ones are sooner complete, long ones cost less.",
  }),
  ssl_verify_client: choice(["off", "on", "optional", "optional_no_ca"], {
    contexts,
    initial: "off",
    summary: "Whether clients have to show a certificate.",
  }),
  ssl_verify_depth: number({
    contexts,
    initial: 1,
    initialText: "1",
    summary: "How many certificates may be between a client's and a trusted one.",
  }),
  ssl_client_certificate: file("Authorities that clients' certificates may come from; clients are told of them."),
  ssl_trusted_certificate: file("The same, without telling clients of them.", "Clients are told of these, too."),
  ssl_prefer_server_ciphers: flag({
    contexts,
    initial: false,
    summary: "Whether our order of ciphers counts instead of the client's.",
  }),
  ssl_session_cache: sessionCache,
  ssl_session_tickets: flag({ contexts, initial: true, summary: "Whether clients may come again with a session." }),
  ssl_session_ticket_key: ticketKey,
  ssl_session_timeout: seconds({
    contexts,
    initial: 300,
    initialText: "5m",
    summary: "For how long clients may come again with a session.",
  }),
  ssl_crl: file("Clients' certificates that have been called back."),
  ssl_ocsp: ocsp,
  ssl_ocsp_responder: unused("Whom `ssl_ocsp` asks."),
  ssl_ocsp_cache: unused("Where its answers are kept."),
  ssl_stapling: ignored("Whether the issuer's word about our certificate is sent along.", stapling),
  ssl_stapling_file: unused("The issuer's word about our certificate."),
  ssl_stapling_responder: unused("Whom `ssl_stapling` asks."),
  ssl_stapling_verify: flag({
    contexts,
    initial: false,
    summary: "Whether what is stapled is checked.",
    deviation: "Accepted, not used.",
  }),
  ssl_early_data: ignored(
    "Whether requests may come before the handshake has ended.",
    "the runtime takes no requests before the handshake has ended",
  ),
  ssl_ech_file: unused("A key for encrypted hellos."),
  ssl_conf_command: confCommands(contexts),
  ssl_reject_handshake: flag({
    contexts,
    initial: false,
    summary: "Whether clients that ask for this server are refused in the handshake.",
  }),
};
