/** ngx_http_slice_module: large contents are fetched, and cached, in slices. */
import { ownHeaders, type Reply } from "../../http/message.ts";
import { postponed } from "../body_change.ts";
import { everywhere, size } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { defineModule } from "../module.ts";
import { dropBody } from "../reply.ts";
import { type ContentRange, firstSlice, parseContentRange, type Slice, SlicesSource } from "../slices.ts";
import { subrequest } from "../subrequest.ts";

/** The size that holds in a location. */
const sizeHere = Symbol("slice size");
/** Of an exchange: where the slice begins that it asks for, once somebody wants to know ($slice_range). */
const startOf = Symbol("slice start");

const rangeOf = (start: number, bytes: number): string => `bytes=${start}-${start + bytes - 1}`;

const sizeIn = ({ location }: Exchange): number => (location.facts?.get(sizeHere) as number | undefined) ?? 0;

/** Who asks, asks for slices: the reply is one. */
function sliceRange(exchange: Exchange): string | undefined {
  const bytes = sizeIn(exchange);
  if (bytes === 0) return undefined;
  const known = exchange.note<number>(startOf);
  if (known !== undefined) return rangeOf(known, bytes);
  if (exchange.parent !== undefined || exchange.reply !== undefined) return undefined;
  const start = firstSlice(exchange.request.headers, bytes);
  exchange.setNote(startOf, start);
  return rangeOf(start, bytes);
}

/** What a slice says of itself; a text: what is wrong with it, for the log. */
function checked({ head }: Reply, start: number, bytes: number): ContentRange | string {
  if (head.status !== 206) return `unexpected status code ${head.status} in slice response`;
  const range = parseContentRange(head.headers.get("content-range"));
  if (range === "invalid") return "invalid range in slice response";
  if (range === "incomplete") return "no complete length in slice response";
  const end = Math.min(start + bytes, range.complete);
  if (range.start !== start || range.end !== end)
    return `unexpected range in slice response: ${range.start}-${range.end}, expected: ${start}-${end}`;
  return range;
}

/** The slice at hand, besides the first: its exchange. */
const current = Symbol("slice");

/** Fetches the others. Rejects with an Error. */
async function fetch(exchange: Exchange, start: number, tag: string | undefined): Promise<Slice> {
  // The one before has been read to its end.
  exchange.note<Exchange>(current)?.end();
  const sub = subrequest(exchange, exchange.uri, exchange.args, {
    again: true,
    prepare: (inner) => inner.setNote(startOf, start),
  });
  exchange.setNote(current, sub.exchange);
  const reply = await sub.reply;
  const range = checked(reply, start, sizeIn(exchange));
  const wrong =
    typeof range === "string"
      ? range
      : tag !== undefined && reply.head.headers.get("etag") !== tag
        ? "etag mismatch in slice response"
        : undefined;
  if (wrong !== undefined || typeof range === "string") {
    dropBody(reply.body, "not the slice that was asked for");
    sub.exchange.log("error", wrong ?? "");
    throw new Error(wrong);
  }
  return { start, end: range.end, body: reply.body };
}

/** The reply becomes that of the whole; parts of it are the range filter's matter. */
function unslice(exchange: Exchange, reply: Reply, start: number): void {
  const { head, body } = reply;
  const bytes = sizeIn(exchange);
  const range = checked(reply, start, bytes);
  reply.headWaits = true;
  if (typeof range === "string") {
    exchange.log("error", range);
    dropBody(body, "not the slice that was asked for");
    reply.body = broken(range);
    return;
  }
  exchange.atEnd(() => exchange.note<Exchange>(current)?.end());
  head.status = 200;
  delete head.reason;
  const headers = ownHeaders(head);
  headers.delete("content-range");
  headers.set("Content-Length", String(range.complete));
  headers.set("Accept-Ranges", "bytes");
  reply.isJudged = false;
  const tag = headers.get("etag");
  const first: Slice = { start, end: range.end, body };
  const part = (from: number, to: number) =>
    postponed(new SlicesSource((at) => fetch(exchange, at, tag), bytes, { first: from, last: to }, first));
  reply.body = { kind: "stream", source: part(0, range.complete - 1), part };
}

/** The client is told nothing: whatever is said would be wrong. */
const broken = (reason: string): Reply["body"] => ({
  kind: "stream",
  source: { pull: (to) => to.fail(reason), cancel() {} },
});

export const sliceModule = defineModule({
  name: "slice",
  directives: {
    slice: size({
      contexts: everywhere,
      initial: 0,
      initialText: "0",
      summary: "The size of the slices in which contents are fetched; 0: as a whole.",
    }),
  },
  variables: {
    slice_range: { summary: "The slice to ask for, as the value of a Range field.", get: sliceRange },
  },
  compile({ slice }) {
    if (slice === 0) return {};
    return {
      facts: [sizeHere, slice],
      filter(exchange, reply) {
        const start = exchange.note<number>(startOf);
        if (start === undefined || exchange.parent !== undefined || reply.head.status !== 206) return;
        unslice(exchange, reply, start);
      },
    };
  },
});
