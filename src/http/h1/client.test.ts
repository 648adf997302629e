import { expect, test } from "bun:test";
import type { EngineEvent } from "../engine.ts";
import { Headers } from "../headers.ts";
import { type ClientEvent, type ClientLimits, type ClientRequestHead, H1Client, type ReceivedHead } from "./client.ts";
import { H1Server } from "./server.ts";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const text = (piece: string | Uint8Array): string =>
  typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1");
const output = (engine: { takeOutput(): readonly (string | Uint8Array)[] }): string =>
  engine.takeOutput().map(text).join("");

const get: ClientRequestHead = {
  method: "GET",
  target: "/",
  version: 11,
  headers: Headers.of(["Host", "a"]),
  bodyLength: undefined,
};

function headText({ status, reason, version, headers, framing, bodyLength, keepAlive }: ReceivedHead): string {
  const fields = headers.names.map((name, i) => ` {${name.raw}: ${headers.values[i]}}`).join("");
  const size = framing === "length" ? ` ${bodyLength}` : "";
  return `${status} "${reason}" ${version} ${framing}${size}${keepAlive ? " keep" : ""}${fields}`;
}

/** Events in words, data joined: how the bytes were cut must not show. */
function words(events: readonly ClientEvent[]): string[] {
  const found: string[] = [];
  let data = "";
  const flush = () => {
    if (data !== "") found.push(`data ${data}`);
    data = "";
  };
  for (const event of events) {
    if (event.type === "data") {
      data += text(event.bytes);
      continue;
    }
    flush();
    if (event.type === "noted") found.push(`${event.level}: ${event.detail}`);
    else if (event.type === "failed") found.push(`failed ${event.kind}: ${event.error.detail}`);
    else if (event.type === "trailers") found.push(`trailers ${event.headers.names.map((name) => name.raw)}`);
    else if (event.type === "end") found.push("end");
    else found.push(`${event.type} ${headText(event.head)}`);
  }
  flush();
  return found;
}

interface Setting {
  readonly request?: Partial<ClientRequestHead>;
  readonly limits?: ClientLimits;
  /** The upstream closes behind the bytes. */
  readonly closes?: boolean;
}

function hear(response: string, size: number, { request, limits, closes = false }: Setting) {
  const client = new H1Client();
  client.sendHead({ ...get, ...request }, limits);
  client.takeOutput();
  const events: ClientEvent[] = [];
  for (let i = 0; i < response.length; i += size) events.push(...client.receive(bytes(response.slice(i, i + size))));
  if (closes) events.push(...client.receiveEnd());
  return { found: words(events), reusable: client.reusable };
}

/** What `response` means: whole, and byte by byte. */
function meaning(response: string, setting: Setting = {}) {
  const whole = hear(response, response.length || 1, setting);
  for (const size of [1, 2, 7]) expect(hear(response, size, setting)).toEqual(whole);
  return whole;
}

const ok = "HTTP/1.1 200 OK\r\n";
const keeps = (response: string, found: string[], setting: Setting = {}) => {
  expect(meaning(response, setting)).toEqual({ found, reusable: true });
  const extra = meaning(`${response}X`, setting);
  expect(extra.reusable).toBe(false);
  expect(extra.found.slice(0, -1)).toEqual(found);
  expect(extra.found.at(-1)).toStartWith("warn: upstream sent ");
};
const ends = (response: string, found: string[], setting: Setting = {}) =>
  expect(meaning(response, setting)).toEqual({ found, reusable: false });

test("how a request is written", () => {
  const client = new H1Client();
  const headers = Headers.of(["Host", "a"], ["content-length", "9"], ["Transfer-Encoding", "gzip"], ["X-é", ""]);
  expect(() => client.sendHead({ ...get, headers })).toThrow("name of a request field");
  headers.delete("x-é");
  client.sendHead({ ...get, method: "POST", headers, bodyLength: 5 });
  client.sendData(bytes("he"), false);
  expect(client.requestSent).toBe(false);
  client.sendData(bytes("llo"), true);
  expect(client.requestSent).toBe(true);
  expect(output(client)).toBe("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
});

test("a body of unknown length is chunked", () => {
  const client = new H1Client();
  client.sendHead({ ...get, method: "POST", bodyLength: -1 });
  client.sendData(bytes("hello"), false);
  client.sendData(bytes(""), true);
  expect(output(client)).toBe(
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  );
});

test("no request is written that means something else to its reader", () => {
  const send = (change: Partial<ClientRequestHead>) => () => new H1Client().sendHead({ ...get, ...change });
  expect(send({ target: "/a\r\nX: y" })).toThrow("target");
  expect(send({ target: "" })).toThrow("target");
  expect(send({ method: "GE T" })).toThrow("method");
  expect(send({ headers: Headers.of(["X", "a\nb"]) })).toThrow('"X"');
  expect(send({ version: 10, bodyLength: -1 })).toThrow("HTTP/1.0");
  const short = new H1Client();
  short.sendHead({ ...get, bodyLength: 3 });
  expect(() => short.sendData(bytes("ab"), true)).toThrow("length");
});

test("a response with a length", () => {
  keeps(`${ok}Content-Length: 5\r\nX-A:  b \r\n\r\nhello`, [
    'response 200 "OK" 11 length 5 keep {Content-Length: 5} {X-A: b}',
    "data hello",
    "end",
  ]);
  keeps(`${ok}Content-Length: 0\r\n\r\n`, ['response 200 "OK" 11 length 0 keep {Content-Length: 0}', "end"]);
});

test("a chunked response, with trailers and without", () => {
  const head = 'response 200 "OK" 11 chunked keep {Transfer-Encoding: Chunked}';
  keeps(`${ok}Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`, [head, "data abcde", "end"]);
  keeps(`${ok}Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n`, [
    head,
    "data a",
    "trailers X-T",
    "end",
  ]);
});

test("a response that ends with the connection", () => {
  const head = 'response 200 "OK" 11 close keep';
  ends(`${ok}\r\nhello`, [head, "data hello", "end"], { closes: true });
  ends(`${ok}\r\nhello`, [head, "data hello"]);
});

test("no body to HEAD, with 204 and with 304, whatever the fields say", () => {
  const fields = "{Content-Length: 5}";
  keeps(`${ok}Content-Length: 5\r\n\r\n`, [`response 200 "OK" 11 none keep ${fields}`, "end"], {
    request: { method: "HEAD" },
  });
  keeps("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", [
    `response 304 "Not Modified" 11 none keep ${fields}`,
    "end",
  ]);
  keeps("HTTP/1.1 204 No Content\r\n\r\n", ['response 204 "No Content" 11 none keep', "end"]);
});

test("interim responses come first", () => {
  keeps(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100\r\n\r\n${ok}Content-Length: 0\r\n\r\n`, [
    'interim 103 "Early Hints" 11 none keep {Link: x}',
    'interim 100 "" 11 none keep',
    'response 200 "OK" 11 length 0 keep {Content-Length: 0}',
    "end",
  ]);
  ends("HTTP/1.0 103 Early Hints\r\n\r\n", ["failed invalid: upstream sent HTTP/1.0 response with early hints"]);
});

test("101 opens a tunnel for those who asked", () => {
  const request = { headers: Headers.of(["Host", "a"], ["Upgrade", "x"], ["Connection", "upgrade"]) };
  const response = "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nHTTP/1.1 200";
  ends(response, ['upgraded 101 "Switching" 11 none {Upgrade: x}', "data HTTP/1.1 200", "end"], {
    request,
    closes: true,
  });
  ends(response, ["failed invalid: upstream switched protocols without being asked"]);
  const client = new H1Client();
  client.sendHead({ ...get, ...request });
  client.takeOutput();
  client.receive(bytes(response));
  client.sendData(bytes("raw"), false);
  expect(output(client)).toBe("raw");
});

test("leniencies: bare LF, no reason phrase, sub-status, spaces, a repeated status line, no colon", () => {
  keeps("HTTP/1.1 200\nContent-Length: 0\n\n", ['response 200 "" 11 length 0 keep {Content-Length: 0}', "end"]);
  keeps("HTTP/2.5  403.7 Certificate\r\nHTTP/1.1 403 again\r\nX\r\nY:\r\r\nCONTENT-length:\t0\t\r\n\r\n", [
    'response 403 "" 11 length 0 keep {X: } {Y: } {CONTENT-length: 0}',
    "end",
  ]);
});

test("fields that could not be written again are left out", () => {
  keeps(`${ok}X@y: 1\r\nX: \x01\r\nContent-Length: 0\r\n\r\n`, [
    'warn: upstream sent invalid header line: "X@y: 1", ignored',
    'warn: upstream sent invalid header line: "X: \x01", ignored',
    'response 200 "OK" 11 length 0 keep {Content-Length: 0}',
    "end",
  ]);
});

test("heads that are refused", () => {
  const invalid = (line: string, shown: string) =>
    ends(`${ok}${line}\r\n\r\n`, [`failed invalid: upstream sent invalid header: "${shown}..."`]);
  invalid("X : y", "X\\x20");
  invalid(" X: y", "\\x20");
  invalid(": y", "\\x3a");
  invalid("X: a\rb", "X: a\\x0d");
  invalid("X: a\0b", "X: a\\x00");
  invalid("\rX", "\\x0d");
  for (const line of ["HTTX", "HTTP/1.1 2x", "HTTP/1.1 2000 OK", "HTTP/1.1 99", "HTTP/0.9 200 OK", "http/1.1 200"]) {
    ends(`${line}\r\n\r\n`, ["failed invalid: upstream sent no valid HTTP/1.0 header"]);
  }
});

test("lengths that are refused (RFC 9112 6.3)", () => {
  const refused = (fields: string, detail: string) =>
    ends(`${ok}${fields}\r\n\r\n`, [`failed invalid: upstream sent ${detail}`]);
  refused(
    "Content-Length: 5\r\ncontent-length: 5",
    'duplicate header line: "content-length: 5", previous value: "Content-Length: 5"',
  );
  const both = '"Content-Length" and "Transfer-Encoding" headers at the same time';
  refused("Content-Length: 5\r\nTransfer-Encoding: chunked", both);
  refused("Transfer-Encoding: chunked\r\nContent-Length: 5", both);
  for (const value of ["-1", "", "5, 5", "0x5", "99999999999999999999"]) {
    refused(`Content-Length: ${value}`, `invalid "Content-Length" header: "Content-Length: ${value}"`);
  }
  refused("Transfer-Encoding: gzip, chunked", 'unknown "Transfer-Encoding": "gzip, chunked"');
});

test("chunks that are refused", () => {
  const head = 'response 200 "OK" 11 chunked keep {Transfer-Encoding: chunked}';
  for (const chunks of ["x\r\n", "-1\r\n", "1\nab", "0\r\nX : y\r\n\r\n", "0\r\nContent-Length: 1\r\n\r\n"]) {
    ends(`${ok}Transfer-Encoding: chunked\r\n\r\n${chunks}`, [
      head,
      "failed invalid: upstream sent invalid chunked response",
    ]);
  }
  ends(`${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nab`, [
    head,
    "data a",
    "failed invalid: upstream sent invalid chunked response",
  ]);
});

test("responses that are cut off", () => {
  const cut = "failed closed: upstream prematurely closed connection";
  for (const part of ["", "HTTP/1.", ok, `${ok}X: y\r\n`, "HTTP/1.1 100 \r\n\r\n"]) {
    expect(meaning(part, { closes: true }).found.at(-1)).toBe(cut);
  }
  const head = 'response 200 "OK" 11 length 5 keep {Content-Length: 5}';
  ends(`${ok}Content-Length: 5\r\n\r\nhe`, [head, "data he", cut], { closes: true });
  expect(meaning(`${ok}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`, { closes: true }).found.at(-1)).toBe(cut);
});

test("a head has a limit, and may fill it", () => {
  const response = `${ok}X: ${"y".repeat(50)}\r\nContent-Length: 0\r\n\r\n`;
  const limits = (headLimit: number) => ({ limits: { headLimit } });
  expect(meaning(response, limits(response.length)).found.at(-1)).toBe("end");
  ends(response, ["failed invalid: upstream sent too big header"], limits(response.length - 1));
  ends("HTTP/1.1 200 ".padEnd(100, "x"), ["failed invalid: upstream sent too big header"], limits(100));
});

test("HTTP/0.9 is believed where HTTP/1.0 was asked", () => {
  const request = { version: 10 } as const;
  const found = ["error: upstream sent no valid HTTP/1.0 header", 'response 200 "" 9 close', "data HTTP hello", "end"];
  ends("HTTP hello", found, { request, closes: true });
  ends("HTTP hello", found, { limits: { headLimit: 99, bareResponses: true }, closes: true });
  const after = meaning("HTTP/1.1 100 C\r\n\r\nhello", { request });
  expect(after.found.at(-1)).toBe("failed invalid: upstream sent no valid HTTP/1.0 header");
});

test("either side can end the connection", () => {
  const response = `${ok}Content-Length: 0\r\n\r\n`;
  const stays = (fields: string, setting: Setting = {}) =>
    meaning(response.replace("\r\n\r\n", fields), setting).reusable;
  expect(stays("\r\n\r\n")).toBe(true);
  expect(stays("\r\nConnection: x, Close\r\n\r\n")).toBe(false);
  expect(stays("\r\n\r\n", { request: { headers: Headers.of(["Connection", "close"]) } })).toBe(false);
  expect(stays("\r\n\r\n", { request: { version: 10 } })).toBe(false);
  expect(stays("\r\n\r\n", { request: { version: 10, headers: Headers.of(["Connection", "Keep-Alive"]) } })).toBe(true);
  expect(meaning(response.replace("1.1", "1.0")).reusable).toBe(false);
});

test("who answers before the request is complete is not asked again", () => {
  const client = new H1Client();
  client.sendHead({ ...get, bodyLength: 5 });
  expect(words(client.receive(bytes(`${ok}Content-Length: 0\r\n\r\n`))).at(-1)).toBe("end");
  expect(client.reusable).toBe(false);
  client.sendData(bytes("hello"), true);
  expect(client.reusable).toBe(false);
});

test("bytes that nobody asked for spoil a connection", () => {
  const client = new H1Client();
  expect(client.reusable).toBe(true);
  expect(client.receive(bytes("x"))).toEqual([]);
  expect(client.reusable).toBe(false);
  expect(() => client.reset()).toThrow();
});

test("what was passed on stays as it was", () => {
  const client = new H1Client();
  client.sendHead(get);
  client.receive(bytes(`${ok}Transfer-Encoding: chu`));
  const events = [...client.receive(bytes("nked\r\n\r\n3\r\nabc\r\n0\r\nX-Trail"))];
  for (const byte of "er: ".padEnd(300, "y")) events.push(...client.receive(bytes(byte)));
  events.push(...client.receive(bytes("\r\n\r\n")));
  expect(words(events).slice(1)).toEqual(["data abc", "trailers X-Trailer", "end"]);
});

/** A server engine that answers each request with its own body. */
function echoServer(): (input: string) => string {
  const server = new H1Server();
  let body = "";
  const take = (events: readonly EngineEvent[]) => {
    for (const event of events) {
      if (event.type === "request") body = "";
      if (event.type === "data") body += text(event.bytes);
      if (!("end" in event) || !event.end) continue;
      server.sendHead(event.stream, { status: 200, headers: new Headers() }, false, "");
      server.sendData(event.stream, bytes(body), true);
    }
  };
  return (input) => {
    take(server.receive(bytes(input)));
    take(server.resume());
    return output(server);
  };
}

test("client and server engines understand each other, again and again", () => {
  for (const size of [1, 3, 10_000]) {
    const client = new H1Client();
    const echo = echoServer();
    for (const [body, bodyLength] of [
      ["hello", 5],
      ["", undefined],
      ["x".repeat(3000), -1],
      ["", 0],
    ] as const) {
      const method = bodyLength === undefined ? "GET" : "POST";
      client.sendHead({ ...get, method, bodyLength });
      if (bodyLength) client.sendData(bytes(body), true);
      let answer = "";
      const input = output(client);
      for (let i = 0; i < input.length; i += size) answer += echo(input.slice(i, i + size));
      const events: ClientEvent[] = [];
      for (let i = 0; i < answer.length; i += size) events.push(...client.receive(bytes(answer.slice(i, i + size))));
      const found = words(events);
      expect(found.slice(1)).toEqual(body === "" ? ["end"] : [`data ${body}`, "end"]);
      expect(client.reusable).toBe(true);
      client.reset();
    }
  }
});
