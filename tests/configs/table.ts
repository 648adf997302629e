/**
 * Tables of requests and what they are answered (requests.txt).
 *
 *     # a comment
 *     GET /path                    a request, on a connection of its own; HTTP/1.1 unless a version stands behind
 *       Field: value               its fields ("Host: localhost" and "Connection: close" if it has none)
 *       < text                     a line of its body; "<* 2000 x": 2000 times "x"
 *     -> 200                       the status of the answer
 *       field: value               this field with this value; once for each of several
 *       field ~ regex              a value that matches
 *       ! field                    no such field
 *       | text                     the body has this in it; "!| text": it has not; "= text": it is this, line ends at its end aside
 *     FILE path                    a file, that sooner or later has what the lines with "|" say
^ *     ASKED                        what the servers behind were asked, likewise
 *     TOUCH path, REMOVE path      makes and removes a file
 *     GZIP path                    puts a file's gzipped form beside it
 */

export interface RequestStep {
  readonly kind: "request";
  /** Where it stands, for people. */
  readonly line: number;
  readonly request: string;
  readonly fields: string[];
  body: string | undefined;
  status: number;
  readonly expected: Expectation[];
}

export interface FileStep {
  readonly kind: "FILE" | "ASKED" | "TOUCH" | "REMOVE" | "GZIP";
  readonly line: number;
  readonly path: string;
  readonly expected: Expectation[];
}

export type Step = RequestStep | FileStep;

export type Expectation =
  | { readonly kind: "field"; readonly name: string; readonly value: string }
  | { readonly kind: "match"; readonly name: string; readonly pattern: RegExp }
  | { readonly kind: "absent"; readonly name: string }
  | { readonly kind: "fragment"; readonly text: string }
  | { readonly kind: "without"; readonly text: string }
  | { readonly kind: "body"; readonly text: string };

/** Throws Error for a line that means nothing. */
export function parseTable(text: string): Step[] {
  const steps: Step[] = [];
  let step: Step | undefined;
  let answered = false;
  for (const [i, line] of text.split("\n").entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const at = i + 1;
    const status = /^-> (\d{3})$/.exec(line);
    if (status !== null && step?.kind === "request") {
      step.status = Number(status[1]);
      answered = true;
    } else if (/^\S/.test(line)) {
      step = begun(line, at);
      answered = step.kind !== "request";
      steps.push(step);
    } else if (step === undefined) throw new Error(`line ${at}: of which request?`);
    else if (answered) step.expected.push(expectation(line.trim(), at));
    else if (step.kind === "request") addToRequest(step, line.trim());
  }
  for (const each of steps)
    if (each.kind === "request" && each.status === 0) throw new Error(`line ${each.line}: what is the answer?`);
  return steps;
}

function begun(line: string, at: number): Step {
  const [, kind, path = ""] = /^(FILE|ASKED|TOUCH|REMOVE|GZIP)(?: (.*))?$/.exec(line) ?? [];
  if (kind !== undefined) return { kind: kind as FileStep["kind"], line: at, path, expected: [] };
  return { kind: "request", line: at, request: line, fields: [], body: undefined, status: 0, expected: [] };
}

function addToRequest(step: RequestStep, line: string): void {
  const [, count, piece = ""] = /^<\* (\d+) (.+)$/.exec(line) ?? [];
  if (count !== undefined) step.body = (step.body ?? "") + piece.repeat(Number(count));
  else if (line.startsWith("< "))
    step.body = step.body === undefined ? line.slice(2) : `${step.body}\n${line.slice(2)}`;
  else step.fields.push(line);
}

function expectation(line: string, at: number): Expectation {
  if (line.startsWith("| ")) return { kind: "fragment", text: line.slice(2) };
  if (line.startsWith("!| ")) return { kind: "without", text: line.slice(3) };
  if (line === "=" || line.startsWith("= ")) return { kind: "body", text: line.slice(2) };
  if (line.startsWith("! ")) return { kind: "absent", name: line.slice(2) };
  const [, name = "", how, value = ""] = /^([\w-]+)( ~|:) ?(.*)$/.exec(line) ?? [];
  if (name === "") throw new Error(`line ${at}: what does this mean? ${line}`);
  return how === ":" ? { kind: "field", name, value } : { kind: "match", name, pattern: new RegExp(value) };
}

/** The bytes of a request, as latin-1 text. */
export function requestText({ request, fields, body }: RequestStep): string {
  const has = (name: string): boolean => fields.some((each) => each.toLowerCase().startsWith(`${name}:`));
  const head = [/ HTTP\/\d\.\d$/.test(request) ? request : `${request} HTTP/1.1`, ...fields];
  if (!has("host") && !request.endsWith(" HTTP/1.0")) head.push("Host: localhost");
  if (!has("connection")) head.push("Connection: close");
  if (body !== undefined && !has("content-length")) head.push(`Content-Length: ${body.length}`);
  return `${head.join("\r\n")}\r\n\r\n${body ?? ""}`;
}
