/** `ssl_conf_command`: OpenSSL's settings by name (SSL_CONF_cmd), as far as the runtime's library has them. */
import { ConfigError, type Statement } from "../../config/statement.ts";
import { type ContextTerms, type TlsVersion, tlsVersions } from "../../net/secure_context.ts";

/** What commands change of a context. */
export type ContextChanges = {
  -readonly [K in "versions" | "ciphers" | "curves" | "signatureAlgorithms" | "ownOrder" | "tickets"]?: ContextTerms[K];
} & { certificate?: string; privateKey?: string };

const none = "None";

/** Throws ConfigError for a command that there is not. `versions`: those that are spoken without it. */
export function confChanges(commands: readonly Statement[], versions: readonly TlsVersion[]): ContextChanges {
  const changes: ContextChanges = {};
  for (const statement of commands) {
    const [name = "", value = ""] = statement.args;
    if (!apply(changes, name.toLowerCase(), value, versions))
      throw new ConfigError(`SSL_CONF_cmd("${name}", "${value}") failed`, statement.at);
  }
  return changes;
}

function apply(changes: ContextChanges, name: string, value: string, versions: readonly TlsVersion[]): boolean {
  const spoken = changes.versions ?? versions;
  switch (name) {
    case "minprotocol":
    case "maxprotocol": {
      if (value === none) return true;
      const limit = tlsVersions.indexOf(value as TlsVersion);
      if (limit < 0) return false;
      const within = (each: TlsVersion) =>
        name === "minprotocol" ? tlsVersions.indexOf(each) >= limit : tlsVersions.indexOf(each) <= limit;
      // A limit speaks of the range, not only of what is in it already.
      changes.versions =
        name === "minprotocol"
          ? tlsVersions.filter((each) => within(each) && each <= (spoken.at(-1) ?? each))
          : spoken.filter(within);
      return true;
    }
    case "protocol":
      changes.versions = words(value).reduce(changeVersions, spoken);
      return true;
    case "cipherstring":
      changes.ciphers = value;
      return true;
    case "ciphersuites":
      // Those of TLS 1.3 cannot be chosen: all of them are good.
      return true;
    case "curves":
    case "groups":
      changes.curves = value;
      return true;
    case "signaturealgorithms":
    case "clientsignaturealgorithms":
      changes.signatureAlgorithms = value;
      return true;
    case "certificate":
      changes.certificate = value;
      return true;
    case "privatekey":
      changes.privateKey = value;
      return true;
    case "options":
      return words(value).every((word) => option(changes, word));
    default:
      return false;
  }
}

const words = (value: string): string[] => value.split(",").filter((word) => word !== "");

function changeVersions(spoken: readonly TlsVersion[], word: string): readonly TlsVersion[] {
  const named = tlsVersions.filter((each) => word.replace(/^[-+]/, "").toUpperCase() === "ALL" || word.endsWith(each));
  const exact = named.filter((each) => named.length > 1 || word.replace(/^[-+]/, "") === each);
  return word.startsWith("-")
    ? spoken.filter((each) => !exact.includes(each))
    : tlsVersions.filter((each) => spoken.includes(each) || exact.includes(each));
}

/** What is true of the runtime's library whether asked for or not. */
const settled = new Set([
  "AllowNoDHEKEX",
  "AntiReplay",
  "Bugs",
  "Compression",
  "DHSingle",
  "ECDHSingle",
  "EncryptThenMac",
  "ExtendedMasterSecret",
  "KTLS",
  "MiddleboxCompat",
  "NoRenegotiation",
  "NoResumptionOnRenegotiation",
  "PrioritizeChaCha",
  "UnsafeLegacyRenegotiation",
  "UnsafeLegacyServerConnect",
]);

function option(changes: ContextChanges, word: string): boolean {
  const isOn = !word.startsWith("-");
  const name = word.replace(/^[-+]/, "");
  if (name === "ServerPreference") changes.ownOrder = isOn;
  else if (name === "SessionTicket") changes.tickets = isOn;
  else return settled.has(name);
  return true;
}
