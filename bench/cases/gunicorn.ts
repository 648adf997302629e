/** The app side in Gunicorn's place, with nobody in front. */
import { wrkEither } from "../load/wrk.ts";
import { alone, aloneName } from "../servers/gunicorn_alone.ts";
import { type Case, lanes } from "./case.ts";

const connections = 64;

const inItsPlace = (
  id: string,
  title: string,
  app: string,
  options: readonly (readonly string[])[],
  atLeast: number,
): Case => ({
  id,
  title,
  readyPath: "/",
  judge: "requestsPerSecond",
  lanes: lanes(
    wrkEither({ path: "/", connections }),
    alone({ app, ...(id === "gunicorn-gevent" ? { needs: ["gevent"] } : {}) }, options),
  ),
  floors: [{ kind: "ratio", metric: "requestsPerSecond", against: aloneName, atLeast }],
  chart: "requestsPerSecond",
});

// biome-ignore format: a case a line
export const gunicornCases: Case[] = [
  inItsPlace("gunicorn-sync", "in Gunicorn's place: sync, hello", "plain:hello", [["-w", "2"], ["-w", "5"]], 4),
  inItsPlace("gunicorn-gthread", "in Gunicorn's place: gthread, hello", "plain:hello", [["-w", "2", "--threads", "4"]], 4),
  inItsPlace("gunicorn-gevent", "in Gunicorn's place: gevent, hello", "plain:hello", [["-w", "2", "-k", "gevent"]], 2),
];
