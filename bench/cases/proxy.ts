/** The reverse proxy and its cache: Nginx and Alicorn with the same configuration, in front of the same Nginx. */
import { wrk } from "../load/wrk.ts";
import { type Site, withConfiguration } from "../servers/configured.ts";
import type { Place } from "../servers/contender.ts";
import { type Case, lanes } from "./case.ts";

const connections = 64;
const wrkThreads = 2;

const socket = (place: Place, i = 0): string => `unix:${place.folder}/upstream${i}.sock`;

/** A server that answers at once, and serves the files of the place. */
const upstreamServers = (count: number) => (place: Place) => {
  const folder = place.folder.replace(/\/upstream$/, "");
  return Array.from(
    { length: count },
    (_, i) => `server {
    listen ${socket({ ...place, folder }, i)};
    location = /hello { default_type text/plain; return 200 "Hello, world!"; }
    location /files/ { alias ${place.files}/; }
}`,
  ).join("\n");
};

const front = (place: Place, http: string, location: string): string => `${http}
server {
    listen 127.0.0.1:${place.port} backlog=4096 reuseport;
    location / {
        proxy_pass http://up;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
${location}
    }
}`;

const upstream = (place: Place, count: number, method = ""): string =>
  `upstream up { ${method} ${Array.from({ length: count }, (_, i) => `server ${socket(place, i)};`).join(" ")} keepalive 128; keepalive_requests 100000000; }`;

function proxied(id: string, title: string, path: string, atLeast: number, site: Site): Case {
  return {
    id,
    title,
    readyPath: path,
    judge: "requestsPerSecond",
    lanes: lanes([wrk({ path, connections }, wrkThreads)], withConfiguration(site)),
    floors: [{ kind: "ratio", metric: "requestsPerSecond", against: "Nginx", atLeast }],
    chart: "requestsPerSecond",
  };
}

const plain = (id: string, title: string, path: string): Case =>
  proxied(id, title, path, 0.95, {
    upstream: upstreamServers(1),
    servers: (place) => front(place, upstream(place, 1), ""),
  });

const cached = (id: string, title: string, path: string): Case =>
  proxied(id, title, path, 1.1, {
    upstream: upstreamServers(1),
    servers: (place) =>
      front(
        place,
        `proxy_cache_path cache keys_zone=one:10m;\n${upstream(place, 1)}`,
        "        proxy_cache one;\n        proxy_cache_valid any 10m;",
      ),
  });

export const proxyCases: Case[] = [
  plain("proxy-hello", "reverse proxy to a local server over keep-alive, hello", "/hello"),
  plain("proxy-100k", "reverse proxy, 100 KB", "/files/100k.txt"),
  plain("proxy-1m", "reverse proxy, 1 MB", "/files/1m.txt"),
  proxied("proxy-least-conn", "reverse proxy, two upstreams with least_conn, hello", "/hello", 0.95, {
    upstream: upstreamServers(2),
    servers: (place) => front(place, upstream(place, 2, "least_conn;"), ""),
  }),
  cached("cache-1k", "cache hit, 1 KB", "/files/1k.txt"),
  cached("cache-100k", "cache hit, 100 KB", "/files/100k.txt"),
];
