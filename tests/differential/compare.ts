/** Two servers' responses to the same bytes: in what they differ. */
import { parseResponses, type ReceivedResponse } from "../support/response.ts";

// Who answers and when; whether the connection goes on is compared by what follows on it.
const ignored = new Set(["date", "server", "connection", "keep-alive"]);

/** The pages that each server makes itself look as it likes. */
const builtInPages =
  /<html>\r\n<head><title>[^<]*<\/title><\/head>\r\n<body>\r\n<center><h1>.*?<\/html>\r\n(<!-- a padding.*?-->\r\n)*|<!doctype html>\n<html lang="en">.*?<h1>\d{3}<\/h1>.*?<\/html>\n/gs;

interface Comparable {
  readonly status: string;
  readonly fields: readonly string[];
  readonly body: string;
}

function comparable({ version, status, reason, fields, body, interim, trailers }: ReceivedResponse): Comparable {
  const page = "(built-in page)";
  const shown = body.replace(builtInPages, page);
  // Of a page to HEAD only the head is seen: then its type and length cannot be told from others.
  const isPage = shown.includes(page) || (status >= 300 && body === "" && status !== 304);
  const skipped = isPage ? ["content-type", "content-length", "transfer-encoding"] : [];
  return {
    status: [...interim, version, status, reason].join(" "),
    fields: [
      ...fields
        .filter(([name]) => !ignored.has(name.toLowerCase()) && !skipped.includes(name.toLowerCase()))
        .map(([name, value]) => `${name}: ${value}`),
      ...trailers.map((each) => `trailer ${each}`),
    ].sort(),
    body: shown,
  };
}

// Chosen by chance, or counted: how long it is says nothing (RFC 9110 14.6).
function withoutBoundary(response: ReceivedResponse): ReceivedResponse {
  const type = response.fields.find(([name, value]) => /^content-type$/i.test(name) && value.startsWith("multipart/"));
  const boundary = type === undefined ? undefined : /boundary=(\S+)/.exec(type[1])?.[1];
  if (boundary === undefined) return response;
  const fields = response.fields
    .filter(([name]) => !/^content-length$/i.test(name))
    .map(([name, value]): [string, string] => [name, value.replace(boundary, "BOUNDARY")]);
  return { ...response, fields, body: response.body.replaceAll(boundary, "BOUNDARY") };
}

/** The differences, one a line: "theirs ≠ ours". None: []. */
export function differences(theirs: string, ours: string, methods: readonly string[]): string[] {
  const left = parseResponses(theirs, methods).map(withoutBoundary).map(comparable);
  const right = parseResponses(ours, methods).map(withoutBoundary).map(comparable);
  if (left.length !== right.length)
    return [`responses: ${left.map(({ status }) => status)} ≠ ${right.map(({ status }) => status)}`];
  return left.flatMap((their, i) => pair(their, right[i] as Comparable));
}

function pair(theirs: Comparable, ours: Comparable): string[] {
  const found: string[] = [];
  if (theirs.status !== ours.status) found.push(`status: ${theirs.status} ≠ ${ours.status}`);
  const [missing, added] = unlikeFields(theirs.fields, ours.fields);
  if (missing.length + added.length > 0)
    found.push(`fields: ${missing.join(", ") || "–"} ≠ ${added.join(", ") || "–"}`);
  if (theirs.body !== ours.body) found.push(`body: ${JSON.stringify(theirs.body)} ≠ ${JSON.stringify(ours.body)}`);
  return found;
}

/**
 * Fields of one that the other does not have. How a body is delimited is the sender's choice (RFC 9112 6): that one says a length
 * where the other one sends chunks is no difference, for the bodies are compared.
 */
function unlikeFields(theirs: readonly string[], ours: readonly string[]): [string[], string[]] {
  const missing = without(theirs, ours);
  const added = without(ours, theirs);
  const framing = /^(content-length: \d+|transfer-encoding: chunked)$/i;
  const isFramed = (fields: readonly string[]): boolean => fields.some((each) => /^content-length:/i.test(each));
  if (isFramed(missing) && isFramed(added)) return [missing, added];
  return [missing.filter((each) => !framing.test(each)), added.filter((each) => !framing.test(each))];
}

function without(all: readonly string[], known: readonly string[]): string[] {
  const rest = [...known];
  return all.filter((each) => {
    const at = rest.indexOf(each);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}
