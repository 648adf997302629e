/** Nginx + uWSGI, over the uwsgi protocol on a unix socket. */
import { join } from "node:path";
import { toolPath } from "../tools.ts";
import { venvBin } from "../venv.ts";
import { type AppDemand, appEnvironment, type Command, type Contender, type Place, type Shape } from "./contender.ts";
import { nginxCommand } from "./nginx.ts";

export interface UwsgiDemand extends AppDemand {
  /** To choose from. */
  shapes: Shape[];
}

export const uwsgiName = "Nginx + uWSGI";

export function nginxUwsgi(demand: UwsgiDemand): Contender {
  return {
    name: uwsgiName,
    ours: false,
    needs: ["nginx", "uwsgi", "python", ...(demand.needs ?? [])],
    variants: demand.shapes.map((shape) => ({
      label: `${shape.processes} processes × ${shape.threads} threads`,
      commands: (place) => {
        const socket = join(place.folder, "uwsgi.sock");
        return [uwsgiCommand(place, demand, socket, shape), nginxCommand(place, { kind: "uwsgi", socket })];
      },
    })),
  };
}

function uwsgiCommand(place: Place, demand: UwsgiDemand, socket: string, { processes, threads }: Shape): Command {
  const program = toolPath(place.tools, "uwsgi");
  const fromPyPI = program.startsWith(venvBin); // Python is built in there, and a plugin in Debian's.
  return {
    // biome-ignore format: one option a line
    argv: [
      program,
      ...(fromPyPI ? [] : ["--plugin", "python3"]),
      "--virtualenv", join(venvBin, ".."),
      "--socket", socket,
      "--chmod-socket=666",
      "--master",
      "--processes", `${processes}`,
      ...(threads > 1 ? ["--threads", `${threads}`] : []),
      "--listen", "1024",
      "--disable-logging",
      "--die-on-term",
      "--single-interpreter",
      "--need-app",
      "--pythonpath", place.apps,
      "--module", demand.app,
    ],
    cwd: place.folder,
    env: appEnvironment(place),
  };
}
