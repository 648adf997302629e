/**
 * What the HTTP/1 parser lets pass: its limits and its leniencies, as data.
 *
 * A policy belongs to a listener, or to a peer that is trusted more than others; the parser asks it and decides nothing
 * by itself. However lenient it is, where a body ends is never negotiable: `framing.ts` and `body.ts` ask it for nothing
 * that could make two readers of the same bytes disagree.
 */

export interface Policy {
  /**
   * The head is read as Nginx reads it: a bare LF ends lines, spaces repeat, HTTP/0.9 is served, odd bytes pass; all of it
   * in `loose_line.ts` and `loose_field.ts`. Its limits answer 414 and 494, and errors are worded as in Nginx's log.
   */
  readonly looseHead: boolean;
  /** Most bytes of the request line, without its CRLF; above: 414. */
  readonly requestLineLimit: number;
  /** Most bytes of one field line, with its CRLF and whatever is folded into it; above: 431. */
  readonly fieldLimit: number;
  /** Most field lines, dropped ones included; above: 431. */
  readonly fieldCountLimit: number;
  /** Most bytes of all field lines together; above: 431. The same limits hold for trailers, each section by itself. */
  readonly fieldsLimit: number;
  /** Most bytes that a body may spend on chunk extensions; above: 400. */
  readonly chunkExtensionsLimit: number;
  /** Empty lines ignored before a request line. */
  readonly emptyLinesLimit: number;

  /** An HTTP/1.1 request without Host is refused. */
  readonly hostRequired: boolean;
  /** Methods that are answered 405 without asking anybody. */
  readonly refusedMethods: ReadonlySet<string>;
  /** Any token is a method; else only those that look like one: 3 to 20 bytes, no lower case, no "#". */
  readonly unconventionalMethods: boolean;
  /** Methods are put into upper case, against RFC 9110 9.1. */
  readonly foldMethodCase: boolean;
  /** Versions below 1.0 are read as 1.0 and versions from 2.0 on as 1.1; else 505. */
  readonly unconventionalVersions: boolean;
  /** Bytes above 0x7F in the target, against RFC 3986. */
  readonly targetNonAscii: boolean;
  /** A "#" in the target ends path and query, instead of being refused. */
  readonly targetFragment: boolean;
  /** User information in an absolute target is ignored, instead of being refused. */
  readonly targetUserinfo: boolean;

  /** Lines that begin with white space continue the field before. */
  readonly obsoleteFolding: boolean;
  /** White space between a field's name and its colon is ignored. */
  readonly spaceBeforeColon: boolean;
  /**
   * What happens to fields with "_" in their name: as CGI keys they cannot be told from those with "-", and what a proxy
   * in front has set or removed under one spelling arrives under the other.
   */
  readonly underscores: "drop" | "refuse" | "keep";
  /** Names (lower case) with "_" that pass nevertheless, because this peer is trusted to set them. */
  readonly trustedNames: ReadonlySet<string>;
  /**
   * Of a loose head: fields whose names have other characters than letters, digits and "-" are left out and noted, as are
   * those with "_" that `underscores` drops. "refuse": they pass, underscores too, unless the name is no token: then 400.
   */
  readonly ignoreInvalidHeaders: "ignore" | "refuse";
  /** `Proxy` passes, which CGI turns into HTTP_PROXY: "httpoxy", CVE-2016-5385. */
  readonly proxyField: boolean;
  /**
   * A client that closes its side before the end of its Content-Length has sent all it meant to send. Gunicorn believes
   * it; otherwise the request is given up, because a piece of an upload is not the upload (RFC 9112 8).
   */
  readonly shortBodies: boolean;
  /** Transfer codings (lower case) that may stand before a final "chunked"; their bytes are passed on as they are. */
  readonly passedCodings: ReadonlySet<string>;
  /** Expectations other than 100-continue are ignored, instead of being answered 417. */
  readonly otherExpectations: boolean;
  /** HTTP/1.1 is told, too, that the connection stays open. */
  readonly statesKeepAlive: boolean;
  /** Another policy for the rest of a loose head, once the host is known (as in `RequestHead.host`): its virtual server's. */
  readonly hostPolicy?: (host: string) => Policy;
}

const none: ReadonlySet<string> = new Set();

/** The zero-configuration mode: everything ambiguous is refused. */
export const strictPolicy: Policy = {
  looseHead: false,
  // RFC 9112 3 recommends at least 8000; Gunicorn's ceiling.
  requestLineLimit: 8190,
  fieldLimit: 8190,
  fieldCountLimit: 100,
  // Eight fields at their limit: twice what Nginx's four buffers of 8 KB hold, and all that one connection can occupy.
  fieldsLimit: 65536,
  // Nobody is known to use them; each byte of one costs work and yields nothing (CVE-2023-39326, CVE-2024-22019).
  chunkExtensionsLimit: 16384,
  emptyLinesLimit: 1,
  hostRequired: true,
  refusedMethods: new Set(["CONNECT", "TRACE"]),
  unconventionalMethods: false,
  foldMethodCase: false,
  unconventionalVersions: false,
  targetNonAscii: false,
  targetFragment: false,
  targetUserinfo: false,
  obsoleteFolding: false,
  spaceBeforeColon: false,
  underscores: "drop",
  trustedNames: none,
  ignoreInvalidHeaders: "ignore",
  proxyField: false,
  shortBodies: false,
  passedCodings: none,
  otherExpectations: false,
  statesKeepAlive: false,
};

/** What Gunicorn accepts with its default settings; its options change single fields of this. */
export const gunicornPolicy: Policy = {
  ...strictPolicy,
  requestLineLimit: 4094,
  fieldsLimit: 100 * 8192,
  emptyLinesLimit: 0,
  hostRequired: false,
  refusedMethods: none,
  targetNonAscii: true,
  targetFragment: true,
  targetUserinfo: true,
  shortBodies: true,
  passedCodings: new Set(["identity", "gzip", "compress", "deflate"]),
};

/** What Nginx's directives say about the size of a head, in bytes. */
export interface HeaderBuffers {
  /** `client_header_buffer_size` */
  readonly bufferSize: number;
  /** `large_client_header_buffers` */
  readonly largeCount: number;
  readonly largeSize: number;
}

/** The limits that such buffers set: what is one piece must fit into one of them, the whole head into all together. */
export function headerLimits({ bufferSize, largeCount, largeSize }: HeaderBuffers) {
  const piece = Math.max(bufferSize, largeSize);
  // A line has its line end in the buffer, too.
  return { requestLineLimit: piece - 2, fieldLimit: piece, fieldsLimit: bufferSize + largeCount * largeSize };
}

/**
 * What Nginx 1.31 accepts with its default settings; directives change single fields of this: `underscores_in_headers on`
 * is `underscores: "keep"`, `ignore_invalid_headers off` is `ignoreInvalidHeaders: "refuse"`, `max_headers` is
 * `fieldCountLimit`. Where a body ends is decided as strictly as everywhere.
 */
export const nginxPolicy: Policy = {
  ...strictPolicy,
  looseHead: true,
  ...headerLimits({ bufferSize: 1024, largeCount: 4, largeSize: 8192 }),
  fieldCountLimit: 1000,
  emptyLinesLimit: Number.MAX_SAFE_INTEGER,
  targetNonAscii: true,
  otherExpectations: true,
  statesKeepAlive: true,
};
