/** Requests and responses between us and an HTTP upstream: what is passed on, what is changed, what stays behind. */

import { withoutControls } from "../../http/h1/classes.ts";
import type { ClientRequestHead } from "../../http/h1/client.ts";
import type { PassedFields } from "../../http/h1/write_request.ts";
import type { H2RequestHead } from "../../http/h2/client.ts";
import { Headers } from "../../http/headers.ts";
import type { Exchange } from "../exchange.ts";
import type { Template } from "../template.ts";

/** What a request to the upstream is made of; compiled once for a location. */
export interface RequestPlan {
  readonly version: 10 | 11 | 20;
  /** proxy_set_header, in order: a field with an empty value is not sent. */
  readonly fields: readonly { readonly name: string; readonly value: Pick<Template, "value"> }[];
  /** Lower-case names of the client's fields that are not passed on: those set above, and the hop's own. */
  readonly hidden: ReadonlySet<string>;
  readonly passesFields: boolean;
  /** Is Host among `fields`? */
  readonly setsHost: boolean;
}

/** Never passed on from the client: the hop's own fields (RFC 9110 7.6.1), and what we write ourselves. */
export const hopFields = [
  "host",
  "connection",
  "proxy-connection",
  "content-length",
  "transfer-encoding",
  "te",
  "keep-alive",
  "expect",
  "upgrade",
];

/** -1: the length is not known; undefined: no body. */
export type BodyLength = number | undefined;

/** The request's head for the upstream: written anew, whatever the client's looked like. */
export function proxiedHead(
  exchange: Exchange,
  plan: RequestPlan & { readonly version: 10 | 11 },
  to: { readonly method: string; readonly uri: string; readonly host: string },
  bodyLength: BodyLength,
): ClientRequestHead {
  const headers = new Headers();
  if (!plan.setsHost) headers.add("Host", to.host);
  for (const { name, value } of plan.fields) {
    const made = value.value(exchange);
    if (made !== "") headers.add(name, withoutControls(made));
    else if (plan.version === 11 && name.toLowerCase() === "host") headers.add("Host", to.host);
  }
  if (plan.version === 10 && !headers.has("connection")) headers.add("Connection", "close");
  const passed = plan.passesFields ? passedFields(exchange, plan) : undefined;
  return { method: to.method, target: to.uri, version: plan.version, headers, passed, bodyLength };
}

/** The same for HTTP/2. */
export function proxiedH2Head(
  exchange: Exchange,
  plan: RequestPlan,
  to: Pick<H2RequestHead, "method" | "scheme" | "authority" | "path">,
  bodyLength: BodyLength,
): H2RequestHead {
  const headers = new Headers();
  for (const { name, value } of plan.fields) {
    const made = value.value(exchange);
    if (made !== "") headers.add(name, withoutControls(made));
  }
  const { method, scheme, path } = to;
  // A Host that the configuration names is sent as it says, as Nginx does it; servers take either (RFC 9113 8.3.1).
  const authority = headers.has("host") ? "" : to.authority;
  const passed = plan.passesFields ? passedFields(exchange, plan) : undefined;
  return { method, scheme, authority, path, headers, passed, bodyLength };
}

/** Does the client understand trailers (RFC 9110 10.1.4)? What HTTP/2 lets be said of it. */
export const acceptsTrailers: RequestPlan["fields"][number] = {
  name: "TE",
  value: {
    value: ({ request: { headers } }) =>
      headers.all("te").some((value) => /(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(value)) ? "trailers" : "",
  },
};

/** The client's own fields, but for those that are for us alone. */
function passedFields(exchange: Exchange, { hidden }: RequestPlan): PassedFields {
  const drop = connectionOptions(exchange);
  return {
    headers: exchange.request.headers,
    hidden: drop === undefined ? hidden : new Set([...hidden, ...drop]),
  };
}

/** Fields that the client's Connection names are for us alone (RFC 9110 7.6.1). */
function connectionOptions({ request: { headers } }: Exchange): ReadonlySet<string> | undefined {
  const given = headers.get("connection");
  if (given === undefined) return undefined;
  const listed = headers
    .all("connection")
    .join(",")
    .toLowerCase()
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "close" && each !== "keep-alive" && each !== "upgrade" && each !== "");
  return listed.length === 0 ? undefined : new Set(listed);
}

/** Fields of the hop between the upstream and us, and those that the engine writes itself. */
const ownFields = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "proxy-connection",
  "upgrade",
  "te",
]);

/** What becomes of a response's fields, by their lower-case names; others are passed on as they are. */
export type FieldRules = ReadonlyMap<string, "drop" | "change">;

/** `hidden`, `changed`: lower-case names of fields that stay behind, and of those that somebody may have to change. */
export function fieldRules(hidden: ReadonlySet<string>, changed: readonly string[]): FieldRules {
  const rules = new Map<string, "drop" | "change">();
  for (const name of changed) rules.set(name, "change");
  for (const name of [...ownFields, ...hidden]) rules.set(name, "drop");
  return rules;
}
