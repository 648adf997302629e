/** Responses as they come from a socket, taken apart: for tests that compare whole responses. */
import { gunzipSync } from "node:zlib";

export interface ReceivedResponse {
  /** "HTTP/1.1"; "" for HTTP/0.9, which has no head. */
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Without its transfer coding, and without the content coding gzip. */
  readonly body: string;
  /** The status of interim responses before it (RFC 9110 15.2). */
  readonly interim: readonly number[];
  readonly trailers: readonly string[];
}

/** The values of a field, in their order. */
export const valuesOf = ({ fields }: ReceivedResponse, name: string): string[] =>
  fields.filter(([each]) => each.toLowerCase() === name.toLowerCase()).map(([, value]) => value);

/**
 * The responses in what a connection gave until it was closed, as latin-1 text. `methods`: those of the requests, which decide
 * whether a response has a body (RFC 9112 6.3); without them all are GET.
 */
export function parseResponses(received: string, methods: readonly string[] = []): ReceivedResponse[] {
  const responses: ReceivedResponse[] = [];
  let interim: number[] = [];
  let rest = received;
  while (rest !== "") {
    const { head, after } = readHead(rest);
    if (head.status >= 100 && head.status < 200 && head.status !== 101) {
      interim.push(head.status);
      rest = after;
      continue;
    }
    const { body, trailers, next } = readBody(head, after, methods[responses.length] ?? "GET");
    responses.push({ ...head, body, trailers, interim });
    interim = [];
    rest = next;
  }
  return responses;
}

type Head = Pick<ReceivedResponse, "version" | "status" | "reason" | "fields">;

function readHead(text: string): { head: Head; after: string } {
  const end = text.indexOf("\r\n\r\n");
  const line = /^(HTTP\/\d\.\d) (\d{3}) ?(.*)\r\n/.exec(text);
  if (line === null || end < 0) return { head: { version: "", status: 0, reason: "", fields: [] }, after: text };
  const [start, version = "", status, reason = ""] = line;
  const fields = text
    .slice(start.length, end + 2)
    .split("\r\n")
    .filter((each) => each !== "")
    .map((each): [string, string] => {
      const colon = each.indexOf(":");
      return [each.slice(0, colon), each.slice(colon + 1).trim()];
    });
  return { head: { version, status: Number(status), reason, fields }, after: text.slice(end + 4) };
}

function readBody(head: Head, text: string, method: string): { body: string; trailers: string[]; next: string } {
  const value = (name: string): string | undefined =>
    head.fields.find(([each]) => each.toLowerCase() === name)?.[1].toLowerCase();
  const plain = value("content-encoding") === "gzip" ? gunzipped : (body: string) => body;
  if (method === "HEAD" || head.status === 204 || head.status === 304) return { body: "", trailers: [], next: text };
  if (value("transfer-encoding") === "chunked") {
    const { body, trailers, next } = readChunks(text);
    return { body: plain(body), trailers, next };
  }
  const length = value("content-length");
  const end = length === undefined ? text.length : Number(length);
  const short = text.length < end ? `(${end - text.length} bytes are missing)` : "";
  return { body: plain(text.slice(0, end)) + short, trailers: [], next: text.slice(end) };
}

function readChunks(text: string): { body: string; trailers: string[]; next: string } {
  let body = "";
  let at = 0;
  for (;;) {
    const line = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (line < 0 || Number.isNaN(size)) return { body: `${body}(the last chunk is missing)`, trailers: [], next: "" };
    at = line + 2;
    if (size === 0) break;
    body += text.slice(at, at + size);
    at += size + 2;
  }
  const end = text.startsWith("\r\n", at) ? at : text.indexOf("\r\n\r\n", at) + 2;
  const trailers = text
    .slice(at, end)
    .split("\r\n")
    .filter((each) => each !== "");
  return { body, trailers, next: text.slice(end + 2) };
}

function gunzipped(body: string): string {
  try {
    return gunzipSync(Buffer.from(body, "latin1")).toString("latin1");
  } catch {
    return body;
  }
}
