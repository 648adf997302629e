/** ngx_http_not_modified_filter: conditional requests (RFC 9110 13). Only what a client has not got yet is sent. */
import { parseHttpDate } from "../../base/date.ts";
import { Headers } from "../../http/headers.ts";
import { emptyBody, type Reply, type RequestHead } from "../../http/message.ts";
import { choice, everywhere } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import { defineModule } from "../module.ts";
import type { Filter } from "../pipeline.ts";
import { replaceReply } from "../reply.ts";

/**
 * When is a copy of a certain date still good? "exact": if the file has just that date, as Nginx has it; a file that was
 * replaced by an older one is noticed. "before": if the file is not younger (RFC 9110 13.1.3).
 */
export type IfModifiedSince = "off" | "exact" | "before";

/** For replies with a validator whose content is at hand: files, pages, what comes from a cache. Others pass. */
export function preconditions(ifModifiedSince: IfModifiedSince): Filter {
  return ({ request, parent }, reply) => {
    if (parent !== undefined || (reply.isJudged ?? false) !== false) return;
    if (!isConditional(request.headers) || reply.head.status !== 200) return;
    if (reply.body.kind === "stream" && reply.isJudged !== false && !reply.head.headers.has("accept-ranges")) return;
    if (request.method !== "GET" && request.method !== "HEAD") return;
    const verdict = judge(request, reply.head.headers, ifModifiedSince);
    if (verdict === 304) replaceReply(reply, notModifiedReply(reply.head.headers));
    else if (verdict === 412) replaceReply(reply, errorReply(412));
  };
}

export const notModified: Filter = preconditions("exact");

// Most requests have none of the five fields: one walk finds that out.
function isConditional({ names }: Headers): boolean {
  for (const { lower } of names) {
    if (lower.charCodeAt(0) === 0x69 && lower.charCodeAt(1) === 0x66 && lower.charCodeAt(2) === 0x2d) return true; // "if-"
  }
  return false;
}

// RFC 9110 13.2.2, step by step; a field of dates counts only where the one of tags is absent (13.1.3, 13.1.4).
function judge({ headers: asked }: RequestHead, has: Headers, ifModifiedSince: IfModifiedSince): 200 | 304 | 412 {
  const tag = has.get("etag");
  const date = has.get("last-modified");

  const ifMatch = asked.get("if-match");
  const ifUnmodifiedSince = asked.get("if-unmodified-since");
  if (ifMatch !== undefined) {
    if (!matchesStrongly(ifMatch, tag)) return 412;
  } else if (ifUnmodifiedSince !== undefined && date !== undefined) {
    if (isLater(date, ifUnmodifiedSince)) return 412;
  }

  const ifNoneMatch = asked.get("if-none-match");
  if (ifNoneMatch !== undefined) return matchesWeakly(ifNoneMatch, tag) ? 304 : 200;
  const since = asked.get("if-modified-since");
  if (since === undefined || date === undefined) return 200;
  return isUnmodified(date, since, ifModifiedSince) ? 304 : 200;
}

// RFC 9110 8.8.3. A comma may stand inside a tag: the list cannot be split at commas.
const tags = /(W\/)?"[!#-~\x80-\xff]*"/g;

/** RFC 9110 8.8.3.2: neither is weak, and they are the same. "*": whatever there is. */
function matchesStrongly(list: string, tag: string | undefined): boolean {
  if (list === "*") return true;
  if (tag === undefined || tag.startsWith("W/")) return false;
  return list === tag || (list.match(tags)?.includes(tag) ?? false);
}

/** RFC 9110 8.8.3.2: they are the same but for the W/. */
function matchesWeakly(list: string, tag: string | undefined): boolean {
  if (list === "*") return true;
  if (tag === undefined) return false;
  return list === tag || (list.match(tags)?.some((each) => strong(each) === strong(tag)) ?? false);
}

const strong = (tag: string): string => (tag.startsWith("W/") ? tag.slice(2) : tag);

// What is no date is no condition (RFC 9110 13.1.3, 13.1.4).
function isLater(date: string, than: string): boolean {
  const a = parseHttpDate(date);
  const b = parseHttpDate(than);
  return a !== undefined && b !== undefined && a > b;
}

function isUnmodified(date: string, since: string, rule: IfModifiedSince): boolean {
  if (rule === "off") return false;
  if (date === since) return true;
  const a = parseHttpDate(date);
  const b = parseHttpDate(since);
  return a !== undefined && b !== undefined && (rule === "exact" ? a === b : a <= b);
}

// RFC 9110 15.4.5: what a cache needs to bring its copy up to date, and nothing about a content that does not come.
const aboutContent = new Set([
  "content-type",
  "content-length",
  "content-encoding",
  "content-language",
  "accept-ranges",
]);

function notModifiedReply({ names, values }: Headers): Reply {
  const headers = new Headers();
  for (const [i, name] of names.entries()) {
    const value = values[i];
    if (value === undefined || aboutContent.has(name.lower)) continue;
    headers.names.push(name);
    headers.values.push(value);
  }
  return { head: { status: 304, headers }, body: emptyBody };
}

export const notModifiedModule = defineModule({
  name: "not_modified",
  directives: {
    if_modified_since: choice(["off", "exact", "before"], {
      contexts: everywhere,
      initial: "exact",
      summary:
        "When a file counts as unchanged since a date: never, if it has just that date, or if it has none after it.",
    }),
  },
  compile: ({ if_modified_since }) => ({ fileFilter: preconditions(if_modified_since) }),
});
