/** Many connections that have had one answer and then stay silent: what they cost in memory. */
import { Client, get } from "./client.ts";
import type { Load, Outcome, Target } from "./load.ts";

export interface IdleLoad {
  connections: number;
  path: string;
}

/** So many are opened at a time: fewer than any server's listening queue holds. */
const batch = 200;
/** Before each look at the memory, so that what is freed late is freed. */
const settleMs = 1_000;
const warmConnections = 200;

/** Needs a server that has been started for this run alone: memory that it has used once, it may keep. */
export function idle(load: IdleLoad): Load {
  return {
    label: `own generator (bench/load/idle.ts): ${load.connections} connections, one GET ${load.path} each, then silence; (PSS after − PSS before) / connections, kernel memory not counted`,
    warm: async (target) => closeAll((await openMany(target, warmConnections, load.path)).clients),
    run: (target) => measure(target, load),
  };
}

async function measure(target: Target, load: IdleLoad): Promise<Outcome> {
  await Bun.sleep(settleMs);
  const before = target.server.memoryBytes();
  const { clients, errors } = await openMany(target, load.connections, load.path);
  await Bun.sleep(settleMs);
  const after = target.server.memoryBytes();
  const alive = clients.filter((client) => client.open).length;
  if (alive < load.connections) errors.push(`only ${alive} of ${load.connections} connections stayed open`);
  closeAll(clients);
  return { requests: 0, figures: { connectionBytes: (after - before) / Math.max(alive, 1) }, errors };
}

async function openMany(target: Target, count: number, path: string): Promise<{ clients: Client[]; errors: string[] }> {
  const clients: Client[] = [];
  let failed = 0;
  let why = "";
  const openOne = async () => {
    try {
      const client = await Client.connect(target.port);
      clients.push(client);
      const status = await client.request(get(path));
      if (status !== 200) throw new Error(`status ${status}`);
    } catch (error) {
      failed++;
      why = error instanceof Error ? error.message : String(error);
    }
  };
  for (let opened = 0; opened < count && failed < batch; opened += batch) {
    await Promise.all(Array.from({ length: Math.min(batch, count - opened) }, openOne));
  }
  return { clients, errors: failed > 0 ? [`${failed} connections failed: ${why}`] : [] };
}

function closeAll(clients: readonly Client[]): void {
  for (const client of clients) client.close();
}
