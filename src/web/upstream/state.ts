/** What is known of a request's tries at upstreams: $upstream_addr and its kin. */
import type { Headers } from "../../http/headers.ts";
import type { Exchange } from "../exchange.ts";
import type { FamilyTable, VariableTable } from "../variables.ts";

/** One try; "group" begins where an internal redirect has led to another upstream. */
export interface UpstreamState {
  readonly startsGroup: boolean;
  readonly address: string;
  readonly startedAt: number;
  status: number;
  /** ms from the start; undefined: it did not come to that. */
  connectMs: number | undefined;
  headerMs: number | undefined;
  responseMs: number | undefined;
  /** Bytes of the body, of all, and of the request. */
  length: number;
  received: number;
  sent: number;
}

const none: UpstreamState[] = [];
const statesKey = Symbol("upstream states");
const receivedKey = Symbol("upstream response");

export const statesOf = (exchange: Exchange): UpstreamState[] => exchange.note<UpstreamState[]>(statesKey) ?? none;

/** `startedAt`: ms of `performance.now`. */
export function addState(exchange: Exchange, address: string, startsGroup: boolean, startedAt: number): UpstreamState {
  const states = statesOf(exchange);
  const state: UpstreamState = {
    startsGroup: startsGroup && states.length > 0,
    address,
    startedAt,
    status: 0,
    connectMs: undefined,
    headerMs: undefined,
    responseMs: undefined,
    length: 0,
    received: 0,
    sent: 0,
  };
  exchange.setNote(statesKey, states.length === 0 ? [state] : [...states, state]);
  return state;
}

/** A response; its trailers are there when its body has ended. */
interface Received {
  readonly head: { readonly headers: Headers };
  readonly trailers: Headers | undefined;
}

export const setReceived = (exchange: Exchange, received: Received): void => exchange.setNote(receivedKey, received);
const receivedOf = (exchange: Exchange): Received | undefined => exchange.note<Received>(receivedKey);

/** Values of all tries: "a, b", and " : " where another upstream was led to. */
const listed = (show: (state: UpstreamState) => string) => (exchange: Exchange) => {
  const states = statesOf(exchange);
  if (states.length === 0) return undefined;
  return states.map((state, i) => `${i === 0 ? "" : state.startsGroup ? " : " : ", "}${show(state)}`).join("");
};

const seconds = (ms: number | undefined): string => (ms === undefined ? "-" : (ms / 1000).toFixed(3));

export const upstreamVariables: VariableTable = {
  upstream_addr: { summary: "The addresses of the upstreams that were asked.", get: listed(({ address }) => address) },
  upstream_status: { summary: "Their statuses.", get: listed(({ status }) => (status === 0 ? "-" : String(status))) },
  upstream_connect_time: {
    summary: "How long connecting took, s.",
    get: listed(({ connectMs }) => seconds(connectMs)),
  },
  upstream_header_time: {
    summary: "How long it took until the response's head was there, s.",
    get: listed(({ headerMs }) => seconds(headerMs)),
  },
  upstream_response_time: {
    summary: "How long it took until all of it was there, s.",
    get: listed(({ responseMs }) => seconds(responseMs)),
  },
  upstream_response_length: { summary: "Bytes of the response's body.", get: listed(({ length }) => String(length)) },
  upstream_bytes_received: { summary: "Bytes received.", get: listed(({ received }) => String(received)) },
  upstream_bytes_sent: { summary: "Bytes sent.", get: listed(({ sent }) => String(sent)) },
};

const fieldFrom = (rest: string, find: (exchange: Exchange) => Headers | undefined) => {
  const name = rest.replaceAll("_", "-");
  return (exchange: Exchange) => {
    const all = find(exchange)?.all(name) ?? [];
    return all.length === 0 ? undefined : all.join(", ");
  };
};

export const upstreamFamilies: FamilyTable = {
  upstream_http_: {
    summary: "A field of the upstream's response.",
    get: (rest) => fieldFrom(rest, (exchange) => receivedOf(exchange)?.head.headers),
  },
  upstream_trailer_: {
    summary: "A trailer of the upstream's response.",
    get: (rest) => fieldFrom(rest, (exchange) => receivedOf(exchange)?.trailers),
  },
  upstream_cookie_: {
    summary: "A cookie that the upstream's response sets.",
    get: (rest) => (exchange) => {
      for (const line of receivedOf(exchange)?.head.headers.all("set-cookie") ?? []) {
        if (line.slice(0, rest.length).toLowerCase() !== rest) continue;
        const found = /^ *= *([^;]*)/.exec(line.slice(rest.length));
        if (found !== null) return found[1];
      }
      return undefined;
    },
  },
};
