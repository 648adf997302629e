/** Basic authentication: what a client says who it is (RFC 7617). */

export interface BasicCredentials {
  /** Both are latin-1 text of their bytes. */
  readonly user: string;
  readonly password: string;
}

/** From the value of an Authorization field; undefined: it is of another scheme, malformed, or names nobody. */
export function basicCredentials(authorization: string | undefined): BasicCredentials | undefined {
  if (authorization === undefined) return undefined;
  // What follows "=" is ignored, as Nginx ignores it; other foreign characters are not.
  const [, encoded] = /^basic +([A-Za-z0-9+/]+)(?:=|$)/i.exec(authorization) ?? [];
  if (encoded === undefined || encoded.length % 4 === 1) return undefined;
  const decoded = Buffer.from(encoded, "base64").toString("latin1");
  const colon = decoded.indexOf(":");
  return colon <= 0 ? undefined : { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
