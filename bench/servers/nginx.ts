/** Nginx, alone for static files or in front of an application server, set up as its documentation recommends for speed. */
import { join } from "node:path";
import { toolPath } from "../tools.ts";
import type { Command, Contender, Place, Variant } from "./contender.ts";

/** What Nginx does with requests. */
export type NginxSite =
  | { kind: "static" }
  /** Gunicorn's deployment page, plus keep-alive to the upstream. */
  | { kind: "proxy"; socket: string }
  | { kind: "uwsgi"; socket: string };

/** Requests per connection are not limited: at this rate a limit would measure reconnecting. */
const unlimited = 1_000_000_000;
/** 10,000 idle connections can land on one worker. */
const connectionsPerWorker = 16_384;

/** Nginx alone, static files below /static/. */
export function nginxStatic(): Contender {
  const variant: Variant = {
    label: "one worker a core",
    commands: (place) => [nginxCommand(place, { kind: "static" })],
  };
  return { name: "Nginx", ours: false, needs: ["nginx"], variants: [variant] };
}

/** The command that runs Nginx on the port of `place`, with its configuration. `secure`: HTTP/2 over TLS. */
export function nginxCommand(place: Place, site: NginxSite, secure = false): Command {
  const path = join(place.folder, "nginx.conf");
  return {
    argv: [toolPath(place.tools, "nginx"), "-p", place.folder, "-c", path, "-e", "stderr"],
    cwd: place.folder,
    files: [{ path, text: configuration(place, site, secure) }],
  };
}

function configuration(place: Place, site: NginxSite, secure: boolean): string {
  return `daemon off;
worker_processes ${place.cores};
worker_rlimit_nofile ${connectionsPerWorker + 3_000};
pid nginx.pid;
error_log stderr error;
events {
    worker_connections ${connectionsPerWorker};
    multi_accept on;
}
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 75s;
    keepalive_requests ${unlimited};
    open_file_cache max=10000 inactive=60s;
    open_file_cache_valid 60s;
    open_file_cache_min_uses 1;
    open_file_cache_errors on;
    client_max_body_size 64m;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
${upstream(site)}    server {
        listen 127.0.0.1:${place.port}${secure ? " ssl http2" : ""} backlog=4096 reuseport;
${secure ? `        ssl_certificate ${place.certificate}.crt;\n        ssl_certificate_key ${place.certificate}.key;\n` : ""}        server_name localhost;
${location(place, site)}
    }
}
`;
}

function upstream(site: NginxSite): string {
  if (site.kind === "static") return "";
  const keepalive = site.kind === "proxy" ? `        keepalive 128;\n        keepalive_requests ${unlimited};\n` : "";
  return `    upstream app {\n        server unix:${site.socket} fail_timeout=0;\n${keepalive}    }\n`;
}

function location(place: Place, site: NginxSite): string {
  switch (site.kind) {
    case "static":
      return `        location /static/ {
            alias ${place.files}/;
        }`;
    case "proxy":
      return `        location / {
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Host $http_host;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_redirect off;
            proxy_pass http://app;
        }`;
    case "uwsgi":
      return `        location / {
            include /etc/nginx/uwsgi_params;
            uwsgi_pass app;
        }`;
  }
}
