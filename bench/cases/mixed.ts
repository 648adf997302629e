/** 1 % of the requests take 300 ms, the rest 0.1 ms: does a fast one wait behind a slow one while a worker is free? */
import { mixed } from "../load/mixed.ts";
import { alicorn } from "../servers/alicorn.ts";
import { shape } from "../servers/contender.ts";
import { gthread, gunicornName, nginxGunicorn, sync } from "../servers/gunicorn.ts";
import { type Case, lanes } from "./case.ts";

/** 8 slow ones a second keep 2.4 of the 4 workers busy: there is always a free one for the fast. */
const load = mixed({ rate: 800, slowEvery: 100, fastPath: "/", slowPath: "/slow" });

export const mixedCase: Case = {
  id: "wsgi-mixed",
  title: "WSGI, 1 % take 300 ms, the rest 0.1 ms, 4 workers, 800 requests/s: the fast ones",
  readyPath: "/",
  judge: "p99Us",
  lanes: lanes(
    [load],
    [
      alicorn({ app: "plain:mixed", shapes: [shape(4, 1)] }),
      nginxGunicorn({ app: "plain:mixed", parser: "python", shapes: [sync(4), gthread(4, 1)] }),
    ],
  ),
  floors: [
    { kind: "ratio", metric: "p99Us", against: gunicornName, atLeast: 1 },
    { kind: "limit", metric: "p99Us", atMost: 50_000 },
  ],
};
