/** What is sent to both servers: the exact bytes of a connection, under a name that a report can show. */

export interface Probe {
  readonly name: string;
  /** latin-1 text; PORT stands for the port. */
  readonly bytes: string;
  /** Of the requests in it: they decide which responses have a body. */
  readonly methods: readonly string[];
}

/** One request on a connection of its own. `fields`: further lines of its head. */
export function request(method: string, target: string, fields: readonly string[] = [], body?: string): Probe {
  const length = body === undefined ? [] : [`Content-Length: ${body.length}`];
  const host = fields.some((each) => /^host:/i.test(each)) ? [] : ["Host: localhost"];
  const head = [`${method} ${target} HTTP/1.1`, ...host, "Connection: close", ...length, ...fields];
  return {
    name: [`${method} ${target}`, ...fields, ...(body === undefined ? [] : [body.slice(0, 40)])].map(shown).join(" | "),
    bytes: `${head.join("\r\n")}\r\n\r\n${body ?? ""}`,
    methods: [method],
  };
}

export const get = (target: string, ...fields: readonly string[]): Probe => request("GET", target, fields);
export const head = (target: string, ...fields: readonly string[]): Probe => request("HEAD", target, fields);

/** All of these targets, each with the same fields. */
export const gets = (targets: readonly string[], ...fields: readonly string[]): Probe[] =>
  targets.map((target) => get(target, ...fields));

/** One target with each of these values of a field. */
export const valued = (target: string, field: string, values: readonly string[]): Probe[] =>
  values.map((value) => get(target, `${field}: ${value}`));

/** Bytes that need not be a request. */
export const raw = (bytes: string, ...methods: readonly string[]): Probe => ({ name: shown(bytes), bytes, methods });

const shown = (text: string): string =>
  text
    .replace(/(.)\1{20,}/g, (all, char: string) => `${char}{${all.length}}`)
    .replace(/[^\x20-\x7e]/g, (char) => JSON.stringify(char).slice(1, -1));
