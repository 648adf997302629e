/** Static files against Nginx: kept-alive connections by size, a connection for each request, and idle connections. */
import { idle } from "../load/idle.ts";
import { wrk } from "../load/wrk.ts";
import { alicorn } from "../servers/alicorn.ts";
import { shape } from "../servers/contender.ts";
import { nginxStatic } from "../servers/nginx.ts";
import { type Case, type GroupFloor, lanes } from "./case.ts";

const connections = 64;
/** Both servers answer faster than one thread of wrk can ask. */
const wrkThreads = 2;
const ours = () => alicorn({ app: "plain:hello", files: true, shapes: [shape(1, 1)] });

function bySize(id: string, size: string): Case {
  const path = `/static/${id}.txt`;
  return {
    id: `static-${id}`,
    title: `static file, ${size}, ${connections} connections`,
    readyPath: path,
    judge: "cpuUs",
    lanes: lanes([wrk({ path, connections }, wrkThreads)], [ours(), nginxStatic()]),
    floors: [{ kind: "ratio", metric: "cpuUs", against: "Nginx", atLeast: 0.9 }],
    chart: "cpuUs",
  };
}

export const staticSizes: Case[] = [
  bySize("1k", "1 KB"),
  bySize("4k", "4 KB"),
  bySize("100k", "100 KB"),
  bySize("1m", "1 MB"),
];

export const staticTogether: GroupFloor = {
  title: "static files, the four sizes together (geometric mean)",
  cases: staticSizes.map((one) => one.id),
  metric: "cpuUs",
  against: "Nginx",
  atLeast: 1,
};

export const newConnection: Case = {
  id: "static-new-connection",
  title: "static file, 1 KB, a new connection for each request, 64 at a time",
  readyPath: "/static/1k.txt",
  judge: "requestsPerSecond",
  lanes: lanes([wrk({ path: "/static/1k.txt", connections, close: true }, wrkThreads)], [ours(), nginxStatic()]),
  floors: [{ kind: "ratio", metric: "requestsPerSecond", against: "Nginx", atLeast: 0.95 }],
  chart: "requestsPerSecond",
};

export const idleConnections: Case = {
  id: "idle",
  title: "10,000 idle keep-alive connections",
  readyPath: "/static/1k.txt",
  judge: "connectionBytes",
  lanes: lanes([idle({ connections: 10_000, path: "/static/1k.txt" })], [ours(), nginxStatic()]),
  floors: [{ kind: "limit", metric: "connectionBytes", atMost: 2_048 }],
  fresh: true,
};
