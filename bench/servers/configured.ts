/** The same nginx.conf, served by Nginx and by Alicorn. */
import { join } from "node:path";
import { toolPath } from "../tools.ts";
import type { Command, Contender, Place } from "./contender.ts";

/** What differs from case to case; everything else is the same. */
export interface Site {
  /** In the http block. */
  http?: (place: Place) => string;
  /** The servers; each says where it listens. */
  servers: (place: Place) => string;
  /** Files of the folder that the configuration names. */
  files?: Record<string, string>;
  /** What Nginx serves behind it, on the Unix sockets that it names. */
  upstream?: (place: Place) => string;
}

/** Requests per connection are not limited: at this rate a limit would measure reconnecting. */
const unlimited = 1_000_000_000;

/** Both servers with this configuration. */
export function withConfiguration(site: Site): Contender[] {
  return [contender("Alicorn", site), contender("Nginx", site)];
}

function contender(name: "Alicorn" | "Nginx", site: Site): Contender {
  const ours = name === "Alicorn";
  return {
    name,
    ours,
    needs: site.upstream !== undefined && ours ? ["alicorn", "nginx"] : [ours ? "alicorn" : "nginx"],
    variants: [
      {
        label: "one worker a core",
        commands: (place) => [...upstreamCommands(place, site), command(place, site, ours)],
      },
    ],
  };
}

function upstreamCommands(place: Place, { upstream }: Site): Command[] {
  if (upstream === undefined) return [];
  const folder = join(place.folder, "upstream");
  const path = join(folder, "nginx.conf");
  const text = configuration({ ...place, folder }, { servers: upstream });
  return [
    {
      argv: [toolPath(place.tools, "nginx"), "-p", folder, "-c", path, "-e", "stderr"],
      cwd: place.folder,
      files: [{ path, text }],
    },
  ];
}

function command(place: Place, site: Site, ours: boolean): Command {
  const path = join(place.folder, "nginx.conf");
  const program = ours ? [toolPath(place.tools, "alicorn"), "nginx"] : [toolPath(place.tools, "nginx")];
  const files = Object.entries(site.files ?? {}).map(([name, text]) => ({ path: join(place.folder, name), text }));
  return {
    argv: [...program, "-p", place.folder, "-c", path, "-e", "stderr"],
    cwd: place.folder,
    files: [{ path, text: configuration(place, site) }, ...files],
  };
}

function configuration(place: Place, site: Site): string {
  return `daemon off;
worker_processes ${place.cores};
pid nginx.pid;
error_log stderr error;
events {
    worker_connections 16384;
}
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests ${unlimited};
    open_file_cache max=10000 inactive=60s;
    client_body_temp_path body;
    proxy_temp_path proxy;
${site.http?.(place) ?? ""}
${site.servers(place)}
}
`;
}
