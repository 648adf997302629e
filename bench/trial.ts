/** One server started, and one measurement of it. */
import { join } from "node:path";
import type { Case } from "./cases/case.ts";
import type { Load, Target } from "./load/load.ts";
import { cpuBetween, machineBetween, machineSnapshot } from "./measure.ts";
import { Server } from "./process.ts";
import type { LaneResult, Round } from "./results.ts";
import type { Command, Place, Variant } from "./servers/contender.ts";
import type { Workplace } from "./workplace.ts";

/** A server that runs, and how it was started. */
export interface Started extends Target {
  commands: LaneResult["commands"];
}

/** Starts `variant` for `one` in a new place. Throws with what it printed when it does not answer. */
export async function start(one: Case, variant: Variant, workplace: Workplace): Promise<Started> {
  const place = await workplace.place();
  const commands = variant.commands(place);
  const server = await Server.start(commands, `${one.scheme ?? "http"}://127.0.0.1:${place.port}${one.readyPath}`);
  return { port: place.port, server, commands: commands.map((command) => readable(command, place)) };
}

/** A command line and its files as a reader wants them: without the paths of this run. */
function readable({ argv, files }: Command, place: Place): LaneResult["commands"][number] {
  const short = (text: string): string =>
    [
      [place.folder, "RUN"],
      [place.files, "FILES"],
      [join(import.meta.dir, ".."), "."],
    ].reduce((whole, [from, to]) => whole.replaceAll(from ?? "", to ?? ""), text);
  return {
    argv: argv.map(short),
    files: (files ?? []).map(({ path, text }) => ({ path: short(path), text: short(text) })),
  };
}

/** Warms the server up, then measures it for about `seconds`. Never throws: what goes wrong is in the errors. */
export async function measure(target: Target, load: Load, seconds: number): Promise<Round> {
  try {
    await load.warm(target);
    const end = await load.surround?.(target);
    const round = await measureLoad(target, load, seconds);
    round.errors.push(...((await end?.()) ?? []));
    return round;
  } catch (error) {
    return { figures: {}, errors: [messageOf(error)], others: 0 };
  }
}

async function measureLoad({ server, port }: Target, load: Load, seconds: number): Promise<Round> {
  const machine = machineSnapshot();
  const before = server.cpu();
  const outcome = await load.run({ server, port }, seconds);
  const { ns, ended } = cpuBetween(before, server.cpu());
  const others = machineBetween(machine, machineSnapshot(), ns);
  const memoryBytes = server.memoryBytes();
  const cpu = outcome.requests > 0 ? { cpuUs: ns / 1000 / outcome.requests } : {};
  const errors = [...outcome.errors, ...(ended > 0 ? [`${ended} server processes ended`] : [])];
  return { figures: { ...outcome.figures, ...cpu, memoryBytes }, errors, others };
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
