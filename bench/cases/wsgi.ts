/** Small WSGI answers as fast as possible, and an application that waits. */
import { wrkEither } from "../load/wrk.ts";
import { alicorn } from "../servers/alicorn.ts";
import { shape } from "../servers/contender.ts";
import { granian, granianName } from "../servers/granian.ts";
import { gthread, gunicornFastName, gunicornName, nginxGunicorn, shapesForTwoCores } from "../servers/gunicorn.ts";
import { nginxUwsgi, uwsgiName } from "../servers/uwsgi.ts";
import { type Case, lanes } from "./case.ts";

const connections = 64;

export const hello: Case = {
  id: "wsgi-hello",
  title: "WSGI hello, 13 B, 64 connections",
  readyPath: "/",
  judge: "requestsPerSecond",
  lanes: lanes(wrkEither({ path: "/", connections }), [
    alicorn({ app: "plain:hello", shapes: [shape(2, 1), shape(1, 1)] }),
    nginxGunicorn({ app: "plain:hello", parser: "python", shapes: shapesForTwoCores }),
    nginxGunicorn({ app: "plain:hello", parser: "fast", shapes: shapesForTwoCores }),
    nginxUwsgi({ app: "plain:hello", shapes: [shape(2, 1), shape(4, 1)] }),
    granian({ app: "plain:hello" }),
  ]),
  floors: [
    { kind: "ratio", metric: "requestsPerSecond", against: gunicornName, atLeast: 4.5 },
    { kind: "ratio", metric: "requestsPerSecond", against: gunicornFastName, atLeast: 3.5 },
    { kind: "ratio", metric: "requestsPerSecond", against: uwsgiName, atLeast: 2.2 },
    { kind: "ratio", metric: "requestsPerSecond", against: granianName, atLeast: 1.2 },
  ],
  chart: "requestsPerSecond",
};

export const body10k: Case = {
  id: "wsgi-10k",
  title: "WSGI 10 KB body, 64 connections",
  readyPath: "/",
  judge: "requestsPerSecond",
  lanes: lanes(wrkEither({ path: "/", connections }), [
    alicorn({ app: "plain:body10k", shapes: [shape(2, 1), shape(1, 1)] }),
    nginxGunicorn({ app: "plain:body10k", parser: "python", shapes: shapesForTwoCores }),
  ]),
  floors: [{ kind: "ratio", metric: "requestsPerSecond", against: gunicornName, atLeast: 3 }],
  chart: "requestsPerSecond",
};

export const echo: Case = {
  id: "wsgi-echo",
  title: "WSGI POST 10 KB echoed, 64 connections",
  readyPath: "/",
  judge: "requestsPerSecond",
  lanes: lanes(wrkEither({ path: "/", connections, bodyBytes: 10_240 }), [
    alicorn({ app: "plain:echo", shapes: [shape(2, 1), shape(1, 1)] }),
    nginxGunicorn({ app: "plain:echo", parser: "python", shapes: shapesForTwoCores }),
  ]),
  floors: [{ kind: "ratio", metric: "requestsPerSecond", against: gunicornName, atLeast: 3 }],
  chart: "requestsPerSecond",
};

export const wait: Case = {
  id: "wsgi-wait",
  title: "WSGI, 10 ms of waiting, 2 processes × 16 threads, 256 connections",
  readyPath: "/",
  judge: "requestsPerSecond",
  lanes: lanes(wrkEither({ path: "/", connections: 256 }), [
    alicorn({ app: "plain:wait", shapes: [shape(2, 16)] }),
    nginxGunicorn({ app: "plain:wait", parser: "python", shapes: [gthread(2, 16)] }),
  ]),
  floors: [
    { kind: "ratio", metric: "requestsPerSecond", against: gunicornName, atLeast: 1.1 },
    { kind: "ratio", metric: "p99Us", against: gunicornName, atLeast: 1 },
  ],
  chart: "requestsPerSecond",
};
