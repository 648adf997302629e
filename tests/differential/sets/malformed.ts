import { type Probe, raw } from "../probe.ts";

const ending = "Host: localhost\r\nConnection: close\r\n\r\n";

const lines = [
  "GET / HTTP/1.1", "GET  /  HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "\r\nGET / HTTP/1.1", "\r\n\r\n\r\nGET / HTTP/1.1",
  "\nGET / HTTP/1.1", "get / HTTP/1.1", "Get / HTTP/1.1", "GET / http/1.1", "GET / HTTP/1.0", "GET / HTTP/1.2", "GET / HTTP/1.10", "GET / HTTP/2.0",
  "GET / HTTP/0.9", "GET / HTTP/3", "GET / HTTP/1.", "GET / HTTP/.1", "GET / HTTP/1.1x", "GET / HTTP", "GET / FOO/1.1", "GET /a b HTTP/1.1",
  "GET /\x00 HTTP/1.1", "GET /\x01 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\xff HTTP/1.1", "GET /\t HTTP/1.1", "GET\t/ HTTP/1.1", "GET /\tHTTP/1.1",
  "GET x HTTP/1.1", "GET ? HTTP/1.1", "GET  HTTP/1.1", "GET HTTP/1.1", "GET", "/ HTTP/1.1", "GET /%", "GET /%00 HTTP/1.1", "GET /../ HTTP/1.1",
  "G@T / HTTP/1.1", "G-T / HTTP/1.1", "G_T / HTTP/1.1", "G1T / HTTP/1.1", "GET: / HTTP/1.1", "MKCOL / HTTP/1.1", "PROPFIND / HTTP/1.1", "TRACE / HTTP/1.1",
  "TRACE /files/a.txt HTTP/1.1", "CONNECT / HTTP/1.1", "CONNECT localhost:80 HTTP/1.1", "OPTIONS * HTTP/1.1", "OPTIONS / HTTP/1.1", "POST / HTTP/1.1",
  `GET /${"a".repeat(9000)} HTTP/1.1`, `GET /${"a".repeat(7000)} HTTP/1.1`, `${"G".repeat(100)} / HTTP/1.1`, "GET http://localhost HTTP/1.1",
  "GET http:/localhost/ HTTP/1.1", "GET http//localhost/ HTTP/1.1", "GET ://localhost/ HTTP/1.1", "GET http://localhost:80x/ HTTP/1.1",
  "GET h+ttp://localhost/ HTTP/1.1", "GET http://local_host/ HTTP/1.1", "GET http://local%20host/ HTTP/1.1", "GET http://localhost/a b HTTP/1.1",
  "PRI * HTTP/2.0", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GET / HTTP/1.1\x00", "GET / HTTP/1.1\r", "GET /\r HTTP/1.1", "GET / HTTP/1.1\rX",
]; // biome-ignore format: a table

const headers = [
  "X-A: 1", "X-A:1", "X-A :1", "X-A : 1", " X-A: 1", "\tX-A: 1", "X-A", "X-A\r\n", ": 1", "X A: 1", "X-A: 1\r\n 2", "X-A: 1\r\n\t2", "X-A: \x00", "X-A: \x01",
  "X-A: \x7f", "X-A: \x80\xff", "X-A: a\tb", "X-A: a\rb", "X-A: \r", "X(A: 1", "X\x80A: 1", "X@A: 1", "X_A: 1", "X.A: 1", "X/A: 1", "\x00: 1", "X\x00: 1",
  "Host: other", "host: localhost", "Content-Length: 0", "Content-Length: 0\r\nContent-Length: 0", "Content-Length: 5, 5", "Content-Length: +5", "Content-Length: -1",
  "Content-Length: 0x5", "Content-Length: 5 5", "Content-Length:", "Content-Length: a", "Content-Length: 99999999999999999999", "Content-Length: 101", "Content-Length: 1e2",
  "Transfer-Encoding: chunked\r\nContent-Length: 5", "Transfer-Encoding: identity", "Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding:",
  "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked;x=1", "Transfer-Encoding: , chunked", "Transfer-Encoding: chunked,",
  "Expect: 100-continue", "Expect: nothing", "Expect: 100-Continue", "Upgrade: h2c\r\nConnection: Upgrade", "Connection: keep-alive", "Connection: x",
  `X-A: ${"a".repeat(7000)}`, `X-A: ${"a".repeat(9000)}`, `${"X".repeat(9000)}: a`, ...[300, 1000].map((n) => Array.from({ length: n }, (_, i) => `X-${i}: y`).join("\r\n")),
]; // biome-ignore format: a table

const chunks = [
  "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n", "00\r\n\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n", '5;a="b\r\nhello\r\n0\r\n\r\n', "5 \r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
  "+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n", "5\nhello\n0\n\n", "5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "g\r\nhello\r\n0\r\n\r\n",
  "\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nA: b\r\n\r\n", "5\r\nhello\r\n0\r\nA: b\r\nC\r\n\r\n", "ffffffffffffffff\r\nx", "10000000000000000\r\nx", "5\r\r\nhello\r\n0\r\n\r\n",
  "A\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n", "70\r\nx", "5;\x00\r\nhello\r\n0\r\n\r\n", "5;a\nhello\r\n0\r\n\r\n", "005\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r",
]; // biome-ignore format: a table

const next = "GET /second HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

export const malformed: readonly Probe[] = [
  ...lines.map((line) => raw(`${line}\r\n${ending}`)),
  ...headers.map((line) => raw(`GET / HTTP/1.1\r\n${line}\r\n${ending}`)),
  ...headers.map((line) => raw(`POST /proxied HTTP/1.1\r\n${line}\r\n${ending}hello`, "POST")),
  ...headers.slice(0, 28).map((line) => raw(`GET / HTTP/1.1\r\n${line}\r\nHost: tight\r\nConnection: close\r\n\r\n`)),
  ...headers.slice(28, 60).map((line) => raw(`GET / HTTP/1.0\r\n${line}\r\n\r\n`)),
  ...chunks.flatMap((body) => [
    raw(`POST /proxied HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${ending}${body}`, "POST"),
    raw(`POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${body}${next}`, "POST", "GET"),
  ]),
  raw("GET / HTTP/1.1\r\n\r\n"),
  raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
  raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
  raw("GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n"),
  raw("GET / HTTP/1.1\r\nHost: localhost\nX-A: 1\r\nConnection: close\n\r\n"),
  raw("GET / HTTP/1.0\n\n"),
  raw("GET /\n"),
  raw("POST /\r\n"),
  raw(`GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n${next}`, "GET", "GET"),
  raw(`GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n\r\n${next}`, "GET", "GET"),
  raw(`POST /first HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello${next}`, "POST", "GET"),
  raw(`POST /first HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhelloX${next}`, "POST", "GET"),
  raw(`HEAD /first HTTP/1.1\r\nHost: localhost\r\n\r\n${next}`, "HEAD", "GET"),
  raw(`GET /files/missing HTTP/1.1\r\nHost: localhost\r\n\r\n${next}`, "GET", "GET"),
  raw(`POST /files/a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello${next}`, "POST", "GET"),
  raw(`POST /big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\n${"x".repeat(200)}${next}`, "POST", "GET"),
  raw(`GET /first HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${next}`, "GET", "GET"),
  raw(`GET /first HTTP/1.0\r\n\r\n${next}`, "GET", "GET"),
  raw(`GET /first HTTP/1.1\r\nHost: localhost\r\nConnection: Close, x\r\n\r\n${next}`, "GET", "GET"),
  raw(`GET /first HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, close\r\n\r\n${next}`, "GET", "GET"),
  raw("GET / HTTP/1.1\r\nHost: tight\r\nConnection: close\r\nX-B_C: under\r\nbad name: x\r\n\r\n"),
  raw(`GET /${"a".repeat(400)} HTTP/1.1\r\nHost: tight\r\nConnection: close\r\n\r\n`),
  raw(`GET /${"a".repeat(600)} HTTP/1.1\r\nHost: tight\r\nConnection: close\r\n\r\n`),
  raw(`GET / HTTP/1.1\r\nHost: tight\r\nConnection: close\r\nX-A: ${"a".repeat(600)}\r\n\r\n`),
  raw(
    `GET / HTTP/1.1\r\nHost: tight\r\nConnection: close\r\nX-A: ${"a".repeat(300)}\r\nX-B: ${"b".repeat(300)}\r\nX-C: ${"c".repeat(300)}\r\n\r\n`,
  ),
];
