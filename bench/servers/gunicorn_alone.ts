/** Gunicorn without anybody in front of it, and Alicorn in its place: the same words behind another program. */
import { toolPath } from "../tools.ts";
import { type AppDemand, appEnvironment, type Contender } from "./contender.ts";

export const aloneName = "Gunicorn alone";

/** Both with each of these command lines: `options` behind the address. */
export function alone(demand: AppDemand, options: readonly (readonly string[])[]): Contender[] {
  return [contender(demand, options, true), contender(demand, options, false)];
}

function contender(demand: AppDemand, options: readonly (readonly string[])[], ours: boolean): Contender {
  return {
    name: ours ? "Alicorn" : aloneName,
    ours,
    needs: [ours ? "alicorn" : "gunicorn", "python", ...(demand.needs ?? [])],
    variants: options.map((words) => ({
      label: words.join(" "),
      commands: (place) => [
        {
          argv: [
            ...(ours ? [toolPath(place.tools, "alicorn"), "gunicorn"] : [toolPath(place.tools, "gunicorn")]),
            ...["--bind", `127.0.0.1:${place.port}`, "--chdir", place.apps, "--log-level", "warning"],
            ...["--worker-tmp-dir", "/dev/shm", "--keep-alive", "75", ...words, demand.app],
          ],
          cwd: place.folder,
          // Where `alicorn gunicorn` looks for Python, as Gunicorn is where its Python is.
          env: { ...appEnvironment(place), VIRTUAL_ENV: toolPath(place.tools, "python").replace(/\/bin\/[^/]*$/, "") },
        },
      ],
    })),
  };
}
