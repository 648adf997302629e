/** TLS and HTTP/2: Nginx and Alicorn with the same configuration and the same certificate. */
import { h2load } from "../load/h2load.ts";
import type { Load } from "../load/load.ts";
import { wrk } from "../load/wrk.ts";
import { alicorn } from "../servers/alicorn.ts";
import { withConfiguration } from "../servers/configured.ts";
import { type Contender, type Place, shape } from "../servers/contender.ts";
import { gunicornName, nginxGunicorn, shapesForTwoCores } from "../servers/gunicorn.ts";
import { type Case, lanes } from "./case.ts";

const connections = 64;
const wrkThreads = 2;

const site = (http2: boolean, more = "") => ({
  servers: (place: Place) => `server {
    listen 127.0.0.1:${place.port} ssl${http2 ? " http2" : ""} backlog=4096 reuseport;
    ssl_certificate ${place.certificate}.crt;
    ssl_certificate_key ${place.certificate}.key;
    ${more}
    location = /hello { default_type text/plain; return 200 "Hello, world!"; }
    location /files/ { alias ${place.files}/; }
}`,
});

interface Workload {
  id: string;
  title: string;
  path: string;
  load: Load;
  atLeast: number;
  http2: boolean;
  /** Further directives of the server. */
  more?: string;
}

function secure({ id, title, path, load, atLeast, http2, more }: Workload): Case {
  return {
    id,
    title,
    scheme: "https",
    readyPath: path,
    judge: "requestsPerSecond",
    lanes: lanes([load], withConfiguration(site(http2, more))),
    floors: [{ kind: "ratio", metric: "requestsPerSecond", against: "Nginx", atLeast }],
    chart: "requestsPerSecond",
  };
}

const overTls = (contenders: Contender[]): Case => ({
  id: "h2-wsgi",
  title: "HTTP/2 to a WSGI hello, h2load -c16 -m32",
  scheme: "https",
  readyPath: "/",
  judge: "requestsPerSecond",
  lanes: lanes([h2load({ path: "/", connections: 16, streams: 32 })], contenders),
  floors: [{ kind: "ratio", metric: "requestsPerSecond", against: gunicornName, atLeast: 5 }],
  chart: "requestsPerSecond",
});

export const secureCases: Case[] = [
  secure({
    id: "tls-hello",
    title: "HTTPS hello over keep-alive, 64 connections",
    path: "/hello",
    load: wrk({ path: "/hello", connections, secure: true }, wrkThreads),
    atLeast: 1.05,
    http2: false,
  }),
  secure({
    id: "tls-handshake",
    title: "HTTPS, a full handshake for each request, 64 at a time",
    path: "/hello",
    load: wrk({ path: "/hello", connections, secure: true, close: true }, wrkThreads),
    atLeast: 0.9,
    http2: false,
    // Else wrk comes again with its session, which is no full handshake.
    more: "ssl_session_tickets off; ssl_session_cache off;",
  }),
  secure({
    id: "h2-hello",
    title: "HTTP/2 hello, h2load -c16 -m32",
    path: "/hello",
    load: h2load({ path: "/hello", connections: 16, streams: 32 }),
    atLeast: 2,
    http2: true,
  }),
  secure({
    id: "h2-10k",
    title: "HTTP/2, 10 KB, h2load -c16 -m32",
    path: "/files/10k.txt",
    load: h2load({ path: "/files/10k.txt", connections: 16, streams: 32 }),
    atLeast: 1.3,
    http2: true,
  }),
  overTls([
    alicorn({ app: "plain:hello", shapes: [shape(2, 1), shape(1, 1)], secure: true }),
    nginxGunicorn({ app: "plain:hello", parser: "python", shapes: shapesForTwoCores, secure: true }),
  ]),
];
