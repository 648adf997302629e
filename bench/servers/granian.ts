/** Granian, alone: it speaks HTTP to the clients itself. The options are those of its own benchmarks. */
import { toolPath } from "../tools.ts";
import { type AppDemand, appEnvironment, type Command, type Contender, type Place } from "./contender.ts";

interface GranianShape {
  workers: number;
  runtimeThreads: number;
  blockingThreads: number;
}

export const granianName = "Granian";

/**
 * On two cores: Granian's own benchmark setting, and one worker a core with one or two blocking threads. Two runtime
 * threads a worker were a quarter slower than the best of these in every trial, so they are not tried each time.
 */
const shapes: GranianShape[] = [
  { workers: 1, runtimeThreads: 1, blockingThreads: 1 },
  { workers: 2, runtimeThreads: 1, blockingThreads: 1 },
  { workers: 2, runtimeThreads: 1, blockingThreads: 2 },
];

export function granian(demand: AppDemand): Contender {
  return {
    name: granianName,
    ours: false,
    needs: ["granian", ...(demand.needs ?? [])],
    variants: shapes.map((shape) => ({
      label: `${shape.workers} workers × ${shape.runtimeThreads} runtime × ${shape.blockingThreads} blocking threads`,
      commands: (place) => [granianCommand(place, demand, shape)],
    })),
  };
}

function granianCommand(place: Place, demand: AppDemand, shape: GranianShape): Command {
  return {
    // biome-ignore format: one option a line
    argv: [
      toolPath(place.tools, "granian"), demand.app,
      "--interface", "wsgi",
      "--working-dir", place.apps,
      "--host", "127.0.0.1",
      "--port", `${place.port}`,
      "--http", "1",
      "--no-ws",
      "--workers", `${shape.workers}`,
      "--runtime-threads", `${shape.runtimeThreads}`,
      "--blocking-threads", `${shape.blockingThreads}`,
      "--runtime-mode", "auto",
      "--backlog", "2048",
      "--log-level", "warning",
    ],
    cwd: place.folder,
    env: appEnvironment(place),
  };
}
