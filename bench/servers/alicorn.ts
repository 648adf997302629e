/** Alicorn: one command that serves the application, and the static files when asked for. */
import { toolPath } from "../tools.ts";
import { type AppDemand, appEnvironment, type Contender, type Shape, type Variant } from "./contender.ts";

export interface AlicornDemand extends AppDemand {
  /** To choose from. */
  shapes: Shape[];
  /** Serve the files of the place below /static. */
  files?: boolean;
  name?: string;
}

/** The name that the tables use for us. */
export const ourName = "Alicorn";

export function alicorn(demand: AlicornDemand): Contender {
  return {
    name: demand.name ?? ourName,
    ours: true,
    needs: ["alicorn", "python", ...(demand.needs ?? [])],
    variants: demand.shapes.map((shape) => variant(demand, shape)),
  };
}

function variant(demand: AlicornDemand, { processes, threads }: Shape): Variant {
  return {
    label: `${processes} workers × ${threads} threads`,
    commands: (place) => [
      {
        // biome-ignore format: one option a line
        argv: [
          toolPath(place.tools, "alicorn"), demand.app,
          "--chdir", place.apps,
          "--python", toolPath(place.tools, "python"),
          "--bind", `127.0.0.1:${place.port}`,
          "--workers", `${processes}`,
          "--threads", `${threads}`,
          ...(demand.secure ? ["--certfile", `${place.certificate}.crt`, "--keyfile", `${place.certificate}.key`] : []),
          ...(demand.files ? ["--static", `/static=${place.files}`] : []),
          "--log-level", "warning",
        ],
        cwd: place.folder,
        env: appEnvironment(place),
      },
    ],
  };
}
