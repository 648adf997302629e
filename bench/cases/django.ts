/** A Django page: the "fortunes" of TechEmpower, one SQLite query and one template. The application takes most of the time. */
import { wrkEither } from "../load/wrk.ts";
import { alicorn } from "../servers/alicorn.ts";
import { shape } from "../servers/contender.ts";
import { gunicornName, nginxGunicorn, shapesForTwoCores } from "../servers/gunicorn.ts";
import { type Case, lanes } from "./case.ts";

export const djangoPage: Case = {
  id: "django",
  title: "Django page (template + SQLite query), 64 connections",
  readyPath: "/",
  judge: "requestsPerSecond",
  lanes: lanes(wrkEither({ path: "/", connections: 64 }), [
    alicorn({ app: "django_page:application", needs: ["django"], shapes: [shape(2, 1)] }),
    nginxGunicorn({ app: "django_page:application", needs: ["django"], parser: "python", shapes: shapesForTwoCores }),
  ]),
  floors: [{ kind: "ratio", metric: "requestsPerSecond", against: gunicornName, atLeast: 1.15 }],
  chart: "requestsPerSecond",
};
