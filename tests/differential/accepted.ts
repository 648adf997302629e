/** Where Alicorn answers otherwise than Nginx 1.22 does, and why. */

export interface AcceptedDifference {
  readonly set: string;
  /** The names of the probes that it is about. */
  readonly probe: RegExp;
  /** What compare.ts says of them: "theirs ≠ ours". Absent: anything. */
  readonly difference?: RegExp;
  readonly reason: string;
}

/** The same difference in several sets. */
const within = (sets: readonly string[], row: Omit<AcceptedDifference, "set">): AcceptedDifference[] =>
  sets.map((set) => ({ set, ...row }));

export const accepted: readonly AcceptedDifference[] = [
  // What Nginx has changed itself since 1.22.
  {
    set: "uris",
    probe: /X-A: 1 \| X-A: 2/,
    reason: "1.23 joins the values of a field that comes several times",
  },
  {
    set: "uris",
    probe: /Host: (a:b|a@b|\\u00e9|é|\[|\[::1|a:99999999)$/,
    reason: "1.31 answers 400 to a Host that is no host and port",
  },
  ...within(["static", "malformed"], {
    probe: /^CONNECT /,
    difference: /^status: HTTP\/1.1 40[05] .* ≠ HTTP\/1.1 40[05] /,
    reason: "1.31 reads the target of CONNECT as an authority (RFC 9112 3.2.3): 400 if it is none, else 405",
  }),
  {
    set: "filters",
    probe: /^\w+ \/(static|always|gunzip)\/packed\//,
    difference: /Accept-Ranges: bytes|206 Partial|Content-Range|^body/,
    reason: "1.31 serves ranges of files that lie ready in gzipped form",
  },
  {
    set: "proxy",
    probe: /\/(two-lengths|both-framings)/,
    reason: "1.23 answers 502 where an upstream says two lengths, or a length and chunks",
  },
  { set: "proxy", probe: /\/early$/, reason: "1.29 passes early hints on only where early_hints says so" },

  // RFC 9110 and 9112 where Nginx reads them otherwise.
  ...within(["static", "rewriting", "fields", "filters", "malformed"], {
    probe: /./,
    difference: /^fields: – ≠ Allow: GET, HEAD$/,
    reason: "405 says which methods there are (RFC 9110 15.5.6)",
  }),
  ...within(["rewriting", "fields"], {
    probe: /\/304/,
    difference: /^fields: Content-Type: text\/plain ≠ –$/,
    reason: "304 does not describe a content of 0 bytes (RFC 9110 8.6, 15.4.5)",
  }),
  {
    set: "static",
    probe: /^HEAD .* Range: bytes=/,
    reason: "ranges are of GET alone (RFC 9110 14.2)",
  },
  {
    set: "static",
    probe: /Range: bytes=(,0-1|0-1,)$/,
    reason: "empty elements of a list do not count (RFC 9110 5.6.1.2)",
  },
  {
    set: "static",
    probe: /Range: bytes=0 - 1$/,
    reason: "no white space within a range (RFC 9110 14.1.1)",
  },
  {
    set: "static",
    probe: /Range: bytes=(0-18446744073709551616|-9223372036854775808)$/,
    reason: "a range that ends beyond the content means its rest, however large the number (RFC 9110 14.1.2)",
  },
  {
    set: "static",
    probe: /If-Unmodified-Since: nonsense/,
    reason: "what is no date is no condition (RFC 9110 13.1.4)",
  },
  {
    set: "static",
    probe: /If-None-Match: "3b9aca00-64" \| If-Modified-Since:/,
    reason: "where there is If-None-Match, If-Modified-Since does not count (RFC 9110 13.1.3)",
  },
  ...within(["proxy", "malformed"], {
    probe: /Expect: 100-[Cc]ontinue/,
    difference: /^status: 100 HTTP\/1.1 200 OK ≠ HTTP\/1.1 200 OK$/,
    reason: "100 is for who has a body to send (RFC 9110 10.1.1)",
  }),
  {
    set: "malformed",
    probe: /\\r\\n\\r\\n(5 \\r\\n|5\\nhello|5;\\u0000|5;a\\nhello)/,
    reason: "chunks are read strictly: who reads them otherwise sees another end of the body (RFC 9112 7.1)",
  },

  // Safety.
  {
    set: "uris",
    probe: /\/redirect%0d%0aX:y$/,
    difference: /^fields: Location/,
    reason: "no request puts fields into a response",
  },
  {
    set: "proxy",
    probe: /Proxy: evil/,
    reason: "the field Proxy is not passed on: behind it, CGI programs take it for HTTP_PROXY (httpoxy)",
  },
  {
    set: "malformed",
    probe: /^POST \/proxied .*X-A: (\\u0001|\x7f|\\u007f)/,
    difference: /^(fields|body)/,
    reason: "control characters are not passed on (RFC 9110 5.5)",
  },

  // Ours, on purpose.
  {
    set: "static",
    probe: /\/list-html\//,
    difference: /^body/,
    reason: "the HTML of a listing is of our own design",
  },
  {
    set: "fields",
    probe: /\/sent\/sub$/,
    difference: /X-Sent/,
    reason: "built-in pages have another length, and say their character set",
  },
  {
    set: "rewriting",
    probe: /\/return\/599/,
    difference: /^body: "" ≠ "\(built-in page\)"$/,
    reason: "there is a built-in page for each error, not only for some",
  },
  {
    set: "rewriting",
    probe: /^GET \/try\/files$/,
    reason: 'an empty name and a slash are the directory itself, not a redirect to "/"',
  },
  {
    set: "proxy",
    probe: /\/intercept\/unavailable$/,
    difference: /^fields: – ≠ Retry-After: 7$/,
    reason: "a page in the place of an upstream's 503 still says when to come again",
  },
  {
    set: "proxy",
    probe: /\/no-reason/,
    difference: /^status: HTTP\/1.1 200 {2}≠ HTTP\/1.1 200 OK$/,
    reason: "a reason phrase that the upstream left out is put in",
  },
  {
    set: "proxy",
    probe: /\/garbage/,
    reason: "what an upstream says without a head is sent with one, not as HTTP/0.9",
  },
  {
    set: "malformed",
    probe: /^POST \/\\r\\n$/,
    reason: "HTTP/0.9 has only GET: the answer to anything else has a head",
  },
  {
    set: "malformed",
    probe: /\\r\\n\\r\\n70\\r\\nx$/,
    reason: "of a body in chunks only what has come counts against client_max_body_size",
  },
  {
    set: "malformed",
    probe: /^POST \/big /,
    reason: "a short body that is too large is read and forgotten, and the connection can be used again",
  },
];
