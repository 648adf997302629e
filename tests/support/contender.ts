/**
 * A process that uses a zone as hard as it can; tests start several. Its descriptor 3 is the zone, its arguments say what to do.
 * It writes a line when it has begun.
 */
import { Zone } from "../../src/shm/zone.ts";

export const kind = "limit_req $key";
export const fields = { excess: "f64", last: "f64", count: "u32" } as const;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Who waits to be killed does not outlive a test that has failed: half a minute from its start, ns. */
const mayGoOn = (): boolean => Bun.nanoseconds() < 30e9;

const tasks: Record<string, (zone: Zone<typeof fields>, argument: number) => void> = {
  /** Counts one up, so many times, in a way that is wrong without a lock. */
  count(zone, times) {
    say("begun");
    for (let i = 0; i < times; i++) {
      zone.locked(() => {
        const node = zone.table.lookup("all") ?? zone.table.insert("all", () => false);
        if (node !== undefined) zone.table.set(node, "excess", zone.table.get(node, "excess") + 1);
      });
    }
  },
  /** Takes the lock and keeps it. */
  hold(zone) {
    zone.locked(() => {
      say("begun");
      while (mayGoOn()) Bun.sleepSync(100);
    });
  },
  /** Makes, touches and removes records with short and long keys. */
  churn(zone, seed) {
    say("begun");
    const { table } = zone;
    for (let n = seed; mayGoOn(); n = (Math.imul(n, 1_664_525) + 1_013_904_223) >>> 0) {
      const key = `${n % 997}`.repeat(1 + (n % 40));
      zone.locked(() => {
        const node = table.lookup(key);
        if (node === undefined) table.insert(key, () => true);
        else if (n % 3 === 0) table.remove(node);
        else table.touch(node);
      });
    }
  },
};

if (import.meta.main) {
  const [, , task = "", argument = "0"] = process.argv;
  tasks[task]?.(new Zone(3, kind, fields), Number(argument));
}
