/**
 * Names to addresses and back, by asking DNS servers (Nginx's `resolver` and `resolver_timeout`). Answers are kept for their
 * TTL; who asks for a name that is being looked up waits for the same answer.
 */
import { randomInt } from "node:crypto";
import { parseIpv4, parseIpv6 } from "../base/address.ts";
import {
  DnsError,
  isResponse,
  type QuestionType,
  readAnswers,
  readHead,
  readQuestion,
  recordType,
  reverseName,
} from "./dns_message.ts";
import { dnsCode, Lookup, type Outcome, type Query } from "./lookup.ts";
import { NameServer, type ServerAddress } from "./name_server.ts";
import {
  addressesOf,
  dnsErrorText,
  inOrder,
  type Resolved,
  type ResolvedName,
  type ResolvedService,
  type ResolveFailure,
  type TargetHosts,
} from "./resolved.ts";

export interface ResolverOptions {
  /** At least one. They are asked in turn. */
  readonly servers: readonly ServerAddress[];
  /** `valid=`: how long answers are kept, whatever their TTL. */
  readonly validMs?: number | undefined;
  /** Which addresses are asked for; not both false. */
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** `resolver_timeout`: how long one call waits, over all servers and aliases. */
  readonly timeoutMs: number;
  /** Told of answers that cannot be used and of servers that cannot be reached. */
  readonly log: (message: string) => void;
  /** ms, monotonic. */
  readonly clock?: () => number;
  /** After this time the next server is asked too; 5000. */
  readonly resendMs?: number;
}

const resendMs = 5000;
/** An answer that nobody has asked for in this time is forgotten, even if it would still hold. */
const unusedMs = 30_000;
const failureMs = 10_000;
const longestChain = 50;

type Kind = "name" | "service" | "pointer";

interface Entry {
  readonly key: string;
  readonly lookup: Lookup;
  /** Resolves once; kept answers are in `done`. */
  readonly outcome: Promise<Outcome>;
  readonly settle: (outcome: Outcome) => void;
  done: Outcome | undefined;
  validUntil: number;
  usedAt: number;
  waiters: number;
  /** Index of the server that was asked last. */
  server: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

interface Found {
  readonly outcome: Outcome;
  readonly validUntil: number;
  readonly kept: boolean;
}

export class Resolver {
  readonly #options: ResolverOptions;
  readonly #servers: readonly NameServer[];
  readonly #clock: () => number;
  /** The longest unused first. */
  readonly #entries = new Map<string, Entry>();
  #nextServer = 0;
  #pending = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#servers = options.servers.map(
      (address) =>
        new NameServer(address, {
          onMessage: (bytes, overTcp) => this.#onMessage(bytes, overTcp),
          onError: options.log,
        }),
    );
  }

  /** The addresses of a host. Never rejects. An IP address is its own answer. */
  async resolve(name: string, timeoutMs = this.#options.timeoutMs): Promise<Resolved | ResolveFailure> {
    const family = parseIpv4(name) !== undefined ? 4 : parseIpv6(name) !== undefined ? 6 : undefined;
    if (family !== undefined) {
      return { kind: "resolved", addresses: [{ family, host: name }], validUntil: Number.POSITIVE_INFINITY };
    }
    const { outcome, validUntil, kept } = await this.#find("name", name, timeoutMs);
    if (outcome.kind !== "addresses") return this.#failure(outcome);
    return { kind: "resolved", addresses: addressesOf(outcome, kept), validUntil };
  }

  /** The name of an address (PTR). Never rejects. */
  async resolveAddress(ip: string, timeoutMs = this.#options.timeoutMs): Promise<ResolvedName | ResolveFailure> {
    const address = parseIpv4(ip) ?? parseIpv6(ip);
    if (address === undefined) return this.#failure({ kind: "failure", code: dnsCode.hostNotFound });
    const { outcome, validUntil } = await this.#find("pointer", reverseName(address), timeoutMs);
    return outcome.kind === "pointer" ? { kind: "resolved", name: outcome.name, validUntil } : this.#failure(outcome);
  }

  /**
   * The addresses of all targets of a service (SRV). `service`: "http" is asked for as `_http._tcp.NAME`, one with a dot
   * as it stands. Never rejects. Each step may take `timeoutMs`.
   */
  async resolveService(
    service: string,
    name: string,
    timeoutMs = this.#options.timeoutMs,
  ): Promise<ResolvedService | ResolveFailure> {
    const asked = service.includes(".") ? `${service}.${name}` : `_${service}._tcp.${name}`;
    const found = await this.#find("service", asked, timeoutMs);
    if (found.outcome.kind !== "services") return this.#failure(found.outcome);
    const targets = await Promise.all(
      found.outcome.services.map(async (target) => ({ target, answer: await this.resolve(target.name, timeoutMs) })),
    );
    let validUntil = found.validUntil;
    const hosts: TargetHosts[] = [];
    const failures: ResolveFailure[] = [];
    for (const { target, answer } of targets) {
      if (answer.kind === "failed") {
        failures.push(answer);
        continue;
      }
      validUntil = Math.min(validUntil, answer.validUntil);
      hosts.push({ target, addresses: answer.addresses });
    }
    if (hosts.length > 0) return { kind: "resolved", addresses: inOrder(hosts), validUntil };
    return failures.find(({ code }) => code === dnsCode.hostNotFound) ?? failures[0]!;
  }

  /** Ends all lookups as if they had timed out, and forgets the answers. */
  close(): void {
    for (const entry of [...this.#entries.values()]) {
      if (entry.done === undefined) this.#settle(entry, { kind: "failure", code: dnsCode.timedOut });
    }
    this.#entries.clear();
  }

  #failure(outcome: Outcome): ResolveFailure {
    const code = outcome.kind === "failure" ? outcome.code : dnsCode.serverFailure;
    const validUntil = this.#clock() + (this.#options.validMs ?? failureMs);
    return { kind: "failed", code, text: `${code}: ${dnsErrorText(code)}`, validUntil };
  }

  /** Follows aliases until there is an answer, or the time is over. */
  async #find(kind: Kind, name: string, timeoutMs: number): Promise<Found> {
    let deadline: Deadline | undefined;
    let kept = true;
    let current = name.toLowerCase().replace(/\.$/, "");
    try {
      for (let step = 0; step <= longestChain; step++) {
        const entry = this.#entry(kind, current);
        if (entry === undefined) break;
        kept = entry.done !== undefined;
        let outcome = entry.done;
        if (outcome === undefined) {
          deadline ??= new Deadline(timeoutMs);
          entry.waiters++;
          outcome = await Promise.race([entry.outcome, deadline.passed]);
          entry.waiters--;
        }
        if (outcome.kind !== "alias") return { outcome, validUntil: entry.validUntil, kept };
        current = outcome.name;
      }
      return { outcome: { kind: "failure", code: dnsCode.hostNotFound }, validUntil: 0, kept };
    } finally {
      deadline?.clear();
    }
  }

  /** The lookup of a name: one that is known, one under way, or a new one. undefined: it can be no domain name. */
  #entry(kind: Kind, name: string): Entry | undefined {
    const key = `${kind} ${name}`;
    const now = this.#clock();
    let entry = this.#entries.get(key);
    if (entry?.done !== undefined && entry.validUntil <= now) entry = undefined;
    entry ??= this.#begin(kind, name, key);
    if (entry === undefined) return undefined;
    entry.usedAt = now;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#forgetUnused(now);
    return entry;
  }

  #forgetUnused(now: number): void {
    let looked = 0;
    for (const entry of this.#entries.values()) {
      if (++looked > 2 || now - entry.usedAt < unusedMs) return;
      if (entry.done !== undefined) this.#entries.delete(entry.key);
    }
  }

  #begin(kind: Kind, name: string, key: string): Entry | undefined {
    const lookup = Lookup.of(name, this.#questions(kind), () => randomInt(0x10000));
    if (lookup === undefined) return undefined;
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const entry: Entry = {
      key,
      lookup,
      outcome: promise,
      settle: resolve,
      done: undefined,
      validUntil: 0,
      usedAt: 0,
      waiters: 0,
      server: this.#nextServer,
      timer: undefined,
    };
    this.#nextServer = (this.#nextServer + 1) % this.#servers.length;
    this.#pending++;
    void this.#send(entry, true);
    return entry;
  }

  #questions(kind: Kind): readonly QuestionType[] {
    if (kind === "service") return ["SRV"];
    if (kind === "pointer") return ["PTR"];
    const { ipv4, ipv6 } = this.#options;
    return ipv4 && ipv6 ? ["A", "AAAA"] : ipv6 ? ["AAAA"] : ["A"];
  }

  /** Asks what is not answered yet. `again`: if that fails, the next server is asked at once. */
  async #send(entry: Entry, again: boolean): Promise<void> {
    this.#waitForAnswer(entry);
    const server = this.#servers[entry.server]!;
    const sending: Promise<boolean>[] = [];
    for (const query of entry.lookup.queries) {
      if (query.hosts !== undefined) continue;
      if (query.overTcp) server.sendTcp(query.bytes);
      else sending.push(server.sendUdp(query.bytes));
    }
    const sent = await Promise.all(sending);
    if (!again || sent.every(Boolean) || entry.timer === undefined) return;
    entry.server = (entry.server + 1) % this.#servers.length;
    await this.#send(entry, false);
  }

  #waitForAnswer(entry: Entry): void {
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => this.#resend(entry), this.#options.resendMs ?? resendMs).unref();
  }

  #resend(entry: Entry): void {
    if (entry.waiters === 0) {
      this.#settle(entry, { kind: "failure", code: dnsCode.timedOut });
      return;
    }
    entry.server = (entry.server + 1) % this.#servers.length;
    void this.#send(entry, false);
  }

  #settle(entry: Entry, outcome: Outcome): void {
    clearTimeout(entry.timer);
    entry.timer = undefined;
    if (outcome.kind === "failure") {
      if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    } else {
      entry.validUntil = this.#clock() + (this.#options.validMs ?? entry.lookup.ttlSeconds * 1000);
      entry.done = outcome;
    }
    entry.settle(outcome);
    this.#pending--;
    if (this.#pending === 0) for (const server of this.#servers) server.rest();
  }

  #onMessage(bytes: Uint8Array, overTcp: boolean): void {
    try {
      const complaint = this.#read(bytes, overTcp);
      if (complaint !== undefined) this.#options.log(complaint);
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      this.#options.log(error.message);
    }
  }

  /** Returns what is wrong with the message, if anything is. Throws DnsError. */
  #read(bytes: Uint8Array, overTcp: boolean): string | undefined {
    const head = readHead(bytes);
    const { id, flags, rcode, truncated } = head;
    if (!isResponse(flags) || (truncated && overTcp)) {
      const hex = flags.toString(16).toUpperCase().padStart(4, "0");
      return `invalid ${overTcp ? "TCP" : "UDP"} DNS response ${id} fl:${hex}`;
    }
    // Another server may be able to answer: these errors do not end the lookup.
    if (rcode === dnsCode.formatError || rcode > 5) return this.#dnsError(id, rcode);
    const question = readQuestion(bytes, head);
    if (question.class !== 1) return `unknown query class ${question.class} in DNS response`;
    const kind = kindOf(question.type);
    if (kind === undefined) return `unknown query type ${question.type} in DNS response`;
    const entry = this.#entries.get(`${kind} ${question.name}`);
    const query = entry?.done === undefined ? entry?.lookup.waiting(question.type) : undefined;
    if (entry === undefined || query === undefined) return `unexpected DNS response for ${question.name}`;
    if (id !== query.id) return `wrong ident ${id} in DNS response for ${question.name}, expect ${query.id}`;
    if (truncated) {
      this.#askOverTcp(entry, query);
      return undefined;
    }
    const answers = rcode === 0 ? readAnswers(bytes, question.end, head.answers) : [];
    const outcome = entry.lookup.take(query, rcode, answers);
    if (typeof outcome === "string") return outcome;
    if (outcome !== undefined) this.#settle(entry, outcome);
    return undefined;
  }

  #askOverTcp(entry: Entry, query: Query): void {
    if (query.overTcp) return;
    query.overTcp = true;
    this.#servers[entry.server]!.sendTcp(query.bytes);
    this.#waitForAnswer(entry);
  }

  #dnsError(id: number, rcode: number): string {
    const error = `DNS error (${rcode}: ${dnsErrorText(rcode)}), query id:${id}`;
    if (rcode !== dnsCode.formatError) return error;
    for (const { done, lookup } of this.#entries.values()) {
      if (done === undefined && lookup.queries.some((query) => query.id === id))
        return `${error}, name:"${lookup.name}"`;
    }
    return error;
  }
}

/** A time after which waiting ends; the process does not stay alive for it. */
class Deadline {
  readonly passed: Promise<Outcome>;
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(ms: number) {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.passed = promise;
    this.#timer = setTimeout(() => resolve({ kind: "failure", code: dnsCode.timedOut }), ms).unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

function kindOf(type: number): Kind | undefined {
  if (type === recordType.A || type === recordType.AAAA) return "name";
  if (type === recordType.SRV) return "service";
  return type === recordType.PTR ? "pointer" : undefined;
}
