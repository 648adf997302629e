/**
 * A few slow requests among many fast ones, at a fixed rate (open loop), with the latency of the fast ones only.
 * Open, since in a closed loop all connections would soon wait in slow requests and the fast ones would not be seen.
 */
import { percentile } from "../metrics.ts";
import { Client, get } from "./client.ts";
import type { Load, Outcome, Target } from "./load.ts";

export interface MixedLoad {
  /** Requests per second. */
  rate: number;
  /** One in so many goes to `slowPath`: the same ones in each run. */
  slowEvery: number;
  fastPath: string;
  slowPath: string;
}

const warmSeconds = 1;
const answerTimeoutMs = 5_000;
/** A server that does not keep up gets no more connections than this: what is due then counts as an error. */
const maxConnections = 500;

export function mixed(load: MixedLoad): Load {
  const label = `own generator (bench/load/mixed.ts): ${load.rate} requests/s at fixed times, every ${load.slowEvery}th to ${load.slowPath}; latency of the others`;
  return {
    label,
    warm: async (target) => void (await new MixedRun(load, target).run(warmSeconds)),
    run: (target, seconds) => new MixedRun(load, target).run(seconds),
  };
}

class MixedRun {
  readonly #load: MixedLoad;
  readonly #port: number;
  readonly #free: Client[] = [];
  readonly #all = new Set<Client>();
  readonly #latenciesUs: number[] = [];
  readonly #errors = new Map<string, number>();
  #answered = 0;

  constructor(load: MixedLoad, target: Target) {
    this.#load = load;
    this.#port = target.port;
  }

  async run(seconds: number): Promise<Outcome> {
    const started = performance.now();
    const running: Promise<void>[] = [];
    const total = Math.round(seconds * this.#load.rate);
    while (running.length < total) {
      const due = Math.min(total, Math.floor(((performance.now() - started) / 1000) * this.#load.rate) + 1);
      while (running.length < due) running.push(this.#send(running.length));
      await Bun.sleep(1);
    }
    const elapsed = (performance.now() - started) / 1000;
    await Promise.race([Promise.all(running), Bun.sleep(answerTimeoutMs)]);
    for (const client of this.#all) client.close();
    if (this.#answered < total) this.#fail("requests without an answer", total - this.#answered);
    return {
      requests: this.#answered,
      figures: {
        requestsPerSecond: this.#answered / elapsed,
        p50Us: percentile(this.#latenciesUs, 0.5),
        p99Us: percentile(this.#latenciesUs, 0.99),
      },
      errors: [...this.#errors].map(([what, times]) => `${times} × ${what}`),
    };
  }

  // From when it is sent, and not from when it was due: our own timer's millisecond is not the server's. Nothing is left
  // out by that, as there is always a connection free to send on.
  async #send(number: number): Promise<void> {
    const slow = number % this.#load.slowEvery === this.#load.slowEvery - 1;
    let client: Client | undefined;
    try {
      client = await this.#takeClient();
      const sent = performance.now();
      const status = await client.request(get(slow ? this.#load.slowPath : this.#load.fastPath));
      if (!slow) this.#latenciesUs.push((performance.now() - sent) * 1000);
      this.#answered++;
      if (status !== 200) this.#fail(`status ${status}`);
      if (client.open) this.#free.push(client);
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  async #takeClient(): Promise<Client> {
    for (let client = this.#free.pop(); client !== undefined; client = this.#free.pop()) {
      if (client.open) return client;
      this.#all.delete(client);
    }
    if (this.#all.size >= maxConnections) throw new Error(`more than ${maxConnections} connections needed`);
    const client = await Client.connect(this.#port);
    this.#all.add(client);
    return client;
  }

  #fail(what: string, times = 1): void {
    this.#errors.set(what, (this.#errors.get(what) ?? 0) + times);
  }
}
