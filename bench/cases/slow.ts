/** 64 fast clients, without and with 500 slow uploads and 500 slow downloads beside them. */
import { amongSlow } from "../load/slow.ts";
import { wrk } from "../load/wrk.ts";
import { alicorn, ourName } from "../servers/alicorn.ts";
import { shape } from "../servers/contender.ts";
import { gthread, gunicornName, nginxGunicorn } from "../servers/gunicorn.ts";
import type { Case } from "./case.ts";

const fast = wrk({ path: "/", connections: 64 }, 1);
const among = amongSlow(fast, { uploads: 500, uploadPath: "/upload", downloads: 500, downloadPath: "/download" });
const quietName = `${ourName} without the slow ones`;
const gunicorn = (name: string) =>
  nginxGunicorn({ app: "plain:transfers", parser: "python", shapes: [gthread(2, 4)], name });

export const slowClients: Case = {
  id: "slow-clients",
  title: "64 fast clients beside 500 slow uploads and 500 slow downloads",
  readyPath: "/",
  judge: "p99Us",
  lanes: [
    { contender: alicorn({ app: "plain:transfers", shapes: [shape(2, 1)] }), loads: [among] },
    { contender: alicorn({ app: "plain:transfers", shapes: [shape(2, 1)], name: quietName }), loads: [fast] },
    { contender: gunicorn(gunicornName), loads: [among] },
    { contender: gunicorn(`${gunicornName} without the slow ones`), loads: [fast] },
  ],
  floors: [{ kind: "ratio", metric: "p99Us", against: quietName, atLeast: 1 / 1.5 }],
};
