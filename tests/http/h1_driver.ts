/** Drives an HTTP/1 engine through bytes and writes down what it understood, one line per event; answers each request as it ends. */
import type { EngineEvent } from "../../src/http/engine.ts";
import { type Policy, strictPolicy } from "../../src/http/h1/policy.ts";
import { H1Server } from "../../src/http/h1/server.ts";
import { Headers } from "../../src/http/headers.ts";
import type { RequestHead } from "../../src/http/message.ts";

export interface Walk {
  /** See `describe` below; adjoining "data" events are one line, so that it doesn't matter how the bytes were split. */
  readonly lines: readonly string[];
  readonly output: string;
}

interface State {
  readonly engine: H1Server;
  readonly lines: string[];
  data: Buffer[];
}

/** Feeds `parts` in order, then the end of input if `ends`. Every response is 200 without a body, or the refusal's status. */
export function walk(
  parts: readonly Uint8Array[],
  { policy = strictPolicy, ends = false }: { policy?: Policy; ends?: boolean } = {},
): Walk {
  const state: State = { engine: new H1Server(policy), lines: [], data: [] };
  for (const part of parts) take(state, state.engine.receive(part));
  if (ends) take(state, state.engine.receiveEnd());
  endData(state, "…");
  const output = state.engine
    .takeOutput()
    .map((piece) => (typeof piece === "string" ? piece : Buffer.from(piece).toString("latin1")));
  return { lines: state.lines, output: output.join("") };
}

function take(state: State, events: readonly EngineEvent[]): void {
  // A response's end frees the next request, whose events come back from resume(): a queue instead of recursion, for floods.
  const queue = [...events];
  for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
    if (event.type !== "data") endData(state, "…");
    switch (event.type) {
      case "request":
        state.lines.push(describe(event.head));
        if (event.end) queue.push(...answer(state, event.stream, 200));
        break;
      case "data":
        // Copied: the bytes are the engine's.
        state.data.push(Buffer.from(event.bytes));
        if (!event.end) break;
        endData(state, "");
        queue.push(...answer(state, event.stream, 200));
        break;
      case "trailers":
        state.lines.push(`trailers ${fields(event.headers)}`);
        queue.push(...answer(state, event.stream, 200));
        break;
      case "refused":
        state.lines.push(`refused ${event.error.status} ${event.error.rule}: ${event.error.detail}`);
        queue.push(...answer(state, event.stream, event.error.status));
        break;
      case "reset":
        state.lines.push(`reset ${event.error.rule}`);
        break;
      default:
        state.lines.push(event.type);
    }
  }
}

function answer({ engine }: State, stream: number, status: number): readonly EngineEvent[] {
  engine.sendHead(stream, { status, headers: new Headers() }, true, "");
  return engine.resume();
}

/** `mark`: "" after a body's last byte, "…" where it breaks off. */
function endData(state: State, mark: string): void {
  const bytes = Buffer.concat(state.data);
  state.data = [];
  if (bytes.length > 0) state.lines.push(`data ${JSON.stringify(bytes.toString("latin1"))}${mark}`);
  else if (mark === "") state.lines.push("data end");
}

/** `request GET /a?b=1 1.1 path /a query b=1 host "a" body 5 continue {Host: a} {…} line "…" ignored "…"` */
export function describe(head: RequestHead): string {
  const { method, target, path, query, version, authority, bodyLength, expectsContinue, headers } = head;
  const where = query === "" ? `path ${path}` : `path ${path} query ${query}`;
  const body = bodyLength < 0 ? "chunked" : bodyLength;
  const odd = [
    head.requestLine === `${method} ${target} HTTP/1.${version - 10}` ? "" : `line "${head.requestLine}"`,
    ...head.ignoredLines.map((line) => `ignored "${line}"`),
  ];
  const parts = [
    `request ${method} ${target} ${version / 10} ${where} host "${authority}" body ${body}`,
    expectsContinue ? "continue" : "",
    fields(headers),
    ...odd,
  ];
  return parts.filter((part) => part !== "").join(" ");
}

function fields({ names, values }: Headers): string {
  return names.map((name, i) => `{${name.raw}: ${values[i]}}`).join(" ");
}

/** The ways in which the same bytes can arrive: whole, byte by byte, and in two parts. Long input is cut at fewer places. */
export function* splits(bytes: Uint8Array): Generator<Uint8Array[]> {
  yield [bytes];
  yield Array.from(bytes, (_, i) => bytes.slice(i, i + 1));
  const step = Math.max(1, Math.floor(bytes.length / 600));
  for (let at = 1; at < bytes.length; at += step) yield [bytes.slice(0, at), bytes.slice(at)];
}
