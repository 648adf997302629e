/**
 * One name being looked up: what was asked, and what the answers mean together. No socket and no clock: the resolver sends
 * the queries and tells the answers.
 */
import { type DnsRecord, type QuestionType, recordType, writeQuery } from "./dns_message.ts";

/** RCODEs of RFC 1035, and the system's ETIMEDOUT for a server that did not answer. */
export const dnsCode = { formatError: 1, serverFailure: 2, hostNotFound: 3, timedOut: 110 } as const;

export interface ServiceTarget {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** What became of a lookup. */
export type Outcome =
  | { readonly kind: "addresses"; readonly v4: readonly string[]; readonly v6: readonly string[] }
  /** In the order of their priorities. */
  | { readonly kind: "services"; readonly services: readonly ServiceTarget[] }
  | { readonly kind: "pointer"; readonly name: string }
  /** The name is another's: look up that one. */
  | { readonly kind: "alias"; readonly name: string }
  | { readonly kind: "failure"; readonly code: number };

export interface Query {
  readonly type: QuestionType;
  readonly id: number;
  readonly bytes: Uint8Array;
  /** An answer over UDP was truncated: it is asked over TCP now. */
  overTcp: boolean;
  /** The addresses in its answer; undefined: not answered yet. */
  hosts: string[] | undefined;
}

export class Lookup {
  readonly name: string;
  readonly queries: readonly Query[];
  /** The shortest TTL of all answers so far. */
  ttlSeconds = Number.POSITIVE_INFINITY;
  /** An error that one of two queries met; it counts when the other is answered. */
  #code = 0;

  private constructor(name: string, queries: readonly Query[]) {
    this.name = name;
    this.queries = queries;
  }

  /** undefined: the name can be no domain name. `randomId`: 0 to 65535. */
  static of(name: string, types: readonly QuestionType[], randomId: () => number): Lookup | undefined {
    const queries: Query[] = [];
    for (const type of types) {
      const id = randomId();
      const bytes = writeQuery(id, name, type);
      if (bytes === undefined) return undefined;
      queries.push({ type, id, bytes, overTcp: false, hosts: undefined });
    }
    return new Lookup(name, queries);
  }

  /** The query with this type of question, if it waits for an answer still. */
  waiting(type: number): Query | undefined {
    return this.queries.find((query) => recordType[query.type] === type && query.hosts === undefined);
  }

  /**
   * Takes a query's answer. Returns the outcome, or undefined while the other query is not answered, or a message for the
   * log if the answer is no use (the query goes on waiting).
   */
  take(query: Query, rcode: number, answers: readonly DnsRecord[]): Outcome | undefined | string {
    if (query.type === "SRV" || query.type === "PTR") {
      if (rcode !== 0 || answers.length === 0) return { kind: "failure", code: rcode || dnsCode.hostNotFound };
      return query.type === "SRV" ? this.#services(query, answers) : this.#pointer(query, answers);
    }
    const other = this.queries.find((one) => one !== query);
    const code = rcode || this.#code;
    if (code !== 0) {
      query.hosts = [];
      this.#code = code;
      return other !== undefined && other.hosts === undefined ? undefined : { kind: "failure", code };
    }
    return this.#addresses(query, other, answers);
  }

  #addresses(query: Query, other: Query | undefined, answers: readonly DnsRecord[]): Outcome | undefined | string {
    const hosts: string[] = [];
    let alias: string | undefined;
    for (const record of answers) {
      if (record.type === "A" || record.type === "AAAA") {
        if (record.type !== query.type) return `unexpected ${record.type} record in DNS response`;
        hosts.push(record.host);
      } else if (record.type === "CNAME") alias = record.name;
    }
    this.#shorten(answers);
    query.hosts = hosts;
    if (other !== undefined && other.hosts === undefined) return undefined;
    const hostsOf = (type: QuestionType) => this.queries.find((one) => one.type === type)?.hosts ?? [];
    const [v4, v6] = [hostsOf("A"), hostsOf("AAAA")];
    if (v4.length + v6.length > 0) return { kind: "addresses", v4, v6 };
    return alias === undefined ? { kind: "failure", code: dnsCode.hostNotFound } : { kind: "alias", name: alias };
  }

  #services(query: Query, answers: readonly DnsRecord[]): Outcome | string {
    const services: ServiceTarget[] = [];
    let alias: string | undefined;
    for (const record of answers) {
      // A weight of 0 is "hardly ever" in RFC 2782; the balancers know no such thing.
      if (record.type === "SRV") services.push({ ...serviceOf(record), weight: record.weight || 1 });
      else if (record.type === "CNAME") alias = record.name;
    }
    if (services.length === 0 && alias === undefined) return "no SRV type in DNS response";
    this.#shorten(answers);
    query.hosts = [];
    if (services.length === 0) return { kind: "alias", name: alias! };
    return { kind: "services", services: services.sort((a, b) => a.priority - b.priority) };
  }

  #pointer(query: Query, answers: readonly DnsRecord[]): Outcome | string {
    const record = answers.find((one) => one.type === "PTR");
    if (record?.type !== "PTR") return "no PTR type in DNS response";
    this.#shorten([record]);
    query.hosts = [];
    return { kind: "pointer", name: record.name };
  }

  #shorten(answers: readonly DnsRecord[]): void {
    for (const { ttlSeconds } of answers) this.ttlSeconds = Math.min(this.ttlSeconds, ttlSeconds);
  }
}

function serviceOf({ name, port, priority, weight }: ServiceTarget): ServiceTarget {
  return { name, port, priority, weight };
}
