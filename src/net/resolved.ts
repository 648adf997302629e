/** What a resolver answers, and the order of addresses in it. */
import { dnsCode, type Outcome, type ServiceTarget } from "./lookup.ts";

export interface ResolvedAddress {
  readonly family: 4 | 6;
  readonly host: string;
}

/** Times are ms on the resolver's clock. */
export interface Resolved {
  readonly kind: "resolved";
  /** At least one. Answers from memory begin at a random one, so that load spreads. */
  readonly addresses: readonly ResolvedAddress[];
  readonly validUntil: number;
}

export interface ResolvedName {
  readonly kind: "resolved";
  readonly name: string;
  readonly validUntil: number;
}

/** One address of one target of a service (RFC 2782). */
export interface ServiceAddress extends ResolvedAddress, ServiceTarget {}

export interface ResolvedService {
  readonly kind: "resolved";
  /** The lowest priority number first. */
  readonly addresses: readonly ServiceAddress[];
  readonly validUntil: number;
}

export interface ResolveFailure {
  readonly kind: "failed";
  /** RCODE of RFC 1035 (3: no such name), or 110: no answer in time. */
  readonly code: number;
  /** `3: Host not found`, as it stands in log messages. */
  readonly text: string;
  /** When asking again is worth while; failures are not kept. */
  readonly validUntil: number;
}

/** "Host not found": what a code means. */
export function dnsErrorText(code: number): string {
  if (code === dnsCode.timedOut) return "Operation timed out";
  const texts = ["Format error", "Server failure", "Host not found", "Unimplemented", "Operation refused"];
  return texts[code - 1] ?? "Unknown error";
}

/** `rotate`: each family from a random one on, and the whole from a random place on. */
export function addressesOf({ v4, v6 }: Extract<Outcome, { kind: "addresses" }>, rotate: boolean): ResolvedAddress[] {
  const turn = <T>(items: readonly T[]): readonly T[] => {
    if (!rotate || items.length < 2) return items;
    const first = Math.floor(Math.random() * items.length);
    return [...items.slice(first), ...items.slice(0, first)];
  };
  const as = (family: 4 | 6, hosts: readonly string[]) => turn(hosts).map((host) => ({ family, host }));
  return [...turn([...as(4, v4), ...as(6, v6)])];
}

/** A target of a service, and where it is. */
export interface TargetHosts {
  readonly target: ServiceTarget;
  readonly addresses: readonly ResolvedAddress[];
}

/** Among targets of one priority a random one comes first, by weight, and the others follow in turn. */
export function inOrder(hosts: readonly TargetHosts[]): ServiceAddress[] {
  const ordered: ServiceAddress[] = [];
  for (let from = 0, to: number; from < hosts.length; from = to) {
    const { priority } = hosts[from]!.target;
    to = hosts.findIndex(({ target }, i) => i > from && target.priority !== priority);
    if (to < 0) to = hosts.length;
    const equal = hosts.slice(from, to);
    const first = weightedPick(equal);
    for (const { target, addresses } of [...equal.slice(first), ...equal.slice(0, first)]) {
      for (const { family, host } of addresses) ordered.push({ ...target, family, host });
    }
  }
  return ordered;
}

function weightedPick(hosts: readonly TargetHosts[]): number {
  const weights = hosts.map(({ target, addresses }) => target.weight * addresses.length);
  let at = Math.random() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    if (at < weight) return i;
    at -= weight;
  }
  return 0;
}
