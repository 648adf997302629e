/** Of several certificates, the one that a client can check: by the signatures that it knows, in its own order. */
import type { ClientHello } from "../../net/client_hello.ts";
import type { TlsVersion } from "../../net/secure_context.ts";
import { cipherName } from "../../net/tls_names.ts";
import { signatureKind } from "./certificates.ts";

const tls13 = 0x0304;

/** `all`: at least one; the first is for clients that say nothing. */
export function choosePair<P extends { readonly kind: string }>(
  all: readonly P[],
  hello: ClientHello | undefined,
  spoken: readonly TlsVersion[],
): P {
  const [first] = all;
  if (first === undefined) throw new Error("no certificates to choose from");
  if (hello === undefined) return first;
  const { versions, signatureAlgorithms, ciphers } = hello;
  const isNew = versions.includes(tls13) && spoken.includes("TLSv1.3");
  // Before TLS 1.3 the cipher says who signs.
  const kinds = isNew ? signatureAlgorithms.map(signatureKind) : ciphers.map(cipherKind);
  for (const kind of kinds) {
    const found = all.find((pair) => pair.kind === kind);
    if (found !== undefined) return found;
  }
  return first;
}

function cipherKind(code: number): string | undefined {
  const name = cipherName(code);
  if (name.includes("ECDSA")) return "ec";
  return name.startsWith("0x") || name.startsWith("TLS_") ? undefined : "rsa";
}
