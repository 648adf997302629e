/** Nginx + Gunicorn, joined by a unix socket as Gunicorn's deployment page has it. */
import { join } from "node:path";
import { toolPath } from "../tools.ts";
import { type AppDemand, appEnvironment, type Contender, type Place, type Variant } from "./contender.ts";
import { nginxCommand } from "./nginx.ts";

/** One kind of worker; gthread keeps connections alive, sync cannot. */
export type GunicornShape =
  | { worker: "sync"; workers: number }
  | { worker: "gthread"; workers: number; threads: number };

export interface GunicornDemand extends AppDemand {
  /**
   * "python": what Gunicorn's default `auto` picks after `pip install gunicorn`; one setting instead of a second virtualenv.
   * "fast": the optional C parser, gunicorn_h1c.
   */
  parser: "python" | "fast";
  shapes: GunicornShape[];
  name?: string;
}

export const sync = (workers: number): GunicornShape => ({ worker: "sync", workers });
export const gthread = (workers: number, threads: number): GunicornShape => ({ worker: "gthread", workers, threads });

/** For an application that computes: sync with the cores and with the documentation's 2 × cores + 1, gthread narrow and wide. */
export const shapesForTwoCores = [sync(2), sync(5), gthread(2, 1), gthread(2, 4)];

export const gunicornName = "Nginx + Gunicorn";
export const gunicornFastName = "Nginx + Gunicorn, C parser";

export function nginxGunicorn(demand: GunicornDemand): Contender {
  const fast = demand.parser === "fast";
  return {
    name: demand.name ?? (fast ? gunicornFastName : gunicornName),
    ours: false,
    needs: ["nginx", "gunicorn", ...(fast ? (["gunicorn_h1c"] as const) : []), ...(demand.needs ?? [])],
    variants: demand.shapes.map((shape) => variant(demand, shape)),
  };
}

function variant(demand: GunicornDemand, shape: GunicornShape): Variant {
  const threads = shape.worker === "gthread" ? ` × ${shape.threads} threads` : "";
  return {
    label: `${shape.worker}, ${shape.workers} workers${threads}`,
    commands: (place) => {
      const socket = join(place.folder, "gunicorn.sock");
      return [
        gunicornCommand(place, demand, shape, socket),
        nginxCommand(place, { kind: "proxy", socket }, demand.secure),
      ];
    },
  };
}

function gunicornCommand(place: Place, demand: GunicornDemand, shape: GunicornShape, socket: string) {
  return {
    // biome-ignore format: one option a line
    argv: [
      toolPath(place.tools, "gunicorn"), demand.app,
      "--chdir", place.apps,
      "--bind", `unix:${socket}`,
      "--worker-class", shape.worker,
      "--workers", `${shape.workers}`,
      ...(shape.worker === "gthread" ? ["--threads", `${shape.threads}`, "--keep-alive", "75"] : []),
      "--http-parser", demand.parser,
      "--worker-tmp-dir", "/dev/shm",
      "--log-level", "warning",
    ],
    cwd: place.folder,
    env: appEnvironment(place),
  };
}
