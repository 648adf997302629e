/** The fields that every HPACK decoder knows (RFC 7541 Appendix A). */
import { type Field, h2Name } from "./field.ts";

const rows = `
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`;

/** Index 1 of HPACK is the first; index 0 stands for none. */
export const staticTable: readonly Field[] = rows.split("\n").map((row) => {
  const [name = "", ...value] = row.split(" ");
  return { name: h2Name(name), value: value.join(" "), fault: undefined };
});

export const staticCount = staticTable.length - 1;
if (staticCount !== 61) throw new Error("the static table is not complete");
