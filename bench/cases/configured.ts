/** The same nginx.conf served by Nginx and by Alicorn: many names and places, the access log, compression, limits. */
import { wrk } from "../load/wrk.ts";
import { type Site, withConfiguration } from "../servers/configured.ts";
import type { Place } from "../servers/contender.ts";
import { type Case, lanes } from "./case.ts";

const connections = 64;
/** Both servers answer faster than one thread of wrk can ask. */
const wrkThreads = 2;

interface Workload {
  id: string;
  title: string;
  path: string;
  headers?: Record<string, string>;
  site: Site;
}

function configured({ id, title, path, headers, site }: Workload): Case {
  return {
    id,
    title,
    readyPath: path,
    judge: "cpuUs",
    lanes: lanes(
      [wrk({ path, connections, ...(headers === undefined ? {} : { headers }) }, wrkThreads)],
      withConfiguration(site),
    ),
    floors: [{ kind: "ratio", metric: "cpuUs", against: "Nginx", atLeast: 0.95 }],
    chart: "cpuUs",
  };
}

const listen = (place: Place): string => `listen 127.0.0.1:${place.port} backlog=4096 reuseport;`;

const counted = (count: number, text: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => text(i)).join("\n");

/** The request goes to the 150th of 200 names, and there to the 15th of 20 regular expressions after 30 prefixes. */
export const manyNames: Case = configured({
  id: "conf-names",
  title: "200 server names, 50 locations (20 regular expressions)",
  path: "/shop/15/items/77.json",
  headers: { Host: "www.tenant149.example" },
  site: {
    servers: (place) => `server { ${listen(place)} server_name _; location / { return 200 "ready"; } }
${counted(
  200,
  (i) => `server {
    ${listen(place).replace(" backlog=4096 reuseport", "")}
    server_name ${i % 4 === 3 ? `*.tenant${i}.example` : `www.tenant${i}.example tenant${i}.example`};
${i === 149 ? locations : '    location / { return 200 "other"; }'}
}`,
)}`,
  },
});

const locations = `${counted(30, (i) => `    location /static/${i}/ { return 200 "static"; }`)}
${counted(20, (i) => `    location ~ ^/shop/${i}/items/(\\d+)\\.json$ { return 200 "item $1 of ${i}"; }`)}`;

const files = (place: Place): string => `location /static/ { alias ${place.files}/; }`;

export const accessLog: Case = configured({
  id: "conf-access-log",
  title: "static file, 1 KB, access log on",
  path: "/static/1k.txt",
  site: { servers: (place) => `server { ${listen(place)} access_log access.log; ${files(place)} }` },
});

/** 20 KB of records as an API sends them. */
const json = JSON.stringify(
  Array.from({ length: 180 }, (_, i) => ({
    id: i,
    name: `Item number ${i}`,
    price: i * 7 + 0.99,
    tags: ["a", "b", `t${i % 7}`],
    ok: i % 3 === 0,
  })),
).slice(0, 20_480);

export const gzipJson: Case = configured({
  id: "conf-gzip",
  title: "gzip of 20 KB of JSON",
  path: "/data.json",
  headers: { "Accept-Encoding": "gzip" },
  site: {
    http: () => "    gzip on;\n    gzip_types application/json;",
    servers: (place) => `server { ${listen(place)} root ${place.folder}; }`,
    files: { "data.json": json },
  },
});

export const limitRequests: Case = configured({
  id: "conf-limit-req",
  title: "static file, 1 KB, limit_req on",
  path: "/static/1k.txt",
  site: {
    http: () => "    limit_req_zone $binary_remote_addr zone=all:10m rate=1000000r/s;",
    servers: (place) => `server { ${listen(place)} limit_req zone=all burst=100000 nodelay; ${files(place)} }`,
  },
});
