/** The settings of `gunicorn …`, as Python has read them: command line, environment and gunicorn.conf.py (python/alicorn/drop_in_settings.py). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { StartError } from "../master/plan.ts";
import { version } from "../master/version.ts";
import { closeFd, sharedMemory } from "../net/libc.ts";
import { findPython } from "./python.ts";

/** The values that the web side and the master need, under Gunicorn's names. */
export interface GunicornValues {
  readonly backlog: number;
  readonly workers: number;
  readonly max_requests: number;
  readonly max_requests_jitter: number;
  readonly max_worker_memory: number;
  readonly max_worker_age: number;
  readonly max_request_time: number;
  readonly client_disconnected: boolean;
  readonly request_start: boolean;
  readonly timeout: number;
  readonly graceful_timeout: number;
  readonly keepalive: number;
  readonly limit_request_line: number;
  readonly limit_request_fields: number;
  readonly limit_request_field_size: number;
  readonly reload: boolean;
  readonly preload_app: boolean;
  readonly daemon: boolean;
  readonly pidfile: string | null;
  readonly user: number;
  readonly group: number;
  readonly umask: number;
  readonly secure_scheme_headers: Readonly<Record<string, string>>;
  readonly forwarded_allow_ips: readonly string[];
  readonly proxy_protocol: "off" | "v1" | "v2" | "auto";
  readonly proxy_allow_ips: readonly string[];
  readonly protocol: "http" | "uwsgi";
  readonly uwsgi_allow_ips: readonly string[];
  readonly permit_obsolete_folding: boolean;
  readonly strip_header_spaces: boolean;
  readonly permit_unconventional_http_method: boolean;
  readonly permit_unconventional_http_version: boolean;
  readonly casefold_http_method: boolean;
  readonly forwarder_headers: readonly string[];
  readonly header_map: string;
  readonly accesslog: string | null;
  readonly access_log_format: string;
  readonly errorlog: string;
  readonly loglevel: string;
  readonly http2_max_concurrent_streams: number;
}

/** How handshakes are held (python/alicorn/tls_settings.py). */
export interface TlsSettings {
  readonly certificates: readonly (readonly [certificate: string, key: string])[];
  /** Of clients' certificates. */
  readonly authorities: string | null;
  readonly verify: "off" | "optional" | "on";
  /** Ours, if null. */
  readonly ciphers: string | null;
  readonly curves: string | null;
  /** Versions; none: the usual ones. */
  readonly protocols: readonly string[];
  readonly tickets: boolean;
}

/** HOST and port, the path of a Unix socket, or a descriptor. */
export type BindAddress = readonly [host: string, port: number] | string | number;

export interface GunicornSettings {
  readonly settings: GunicornValues;
  readonly python: string;
  readonly app: string;
  readonly kind: "sync" | "gthread" | "gevent";
  /** How many requests a worker runs at once. */
  readonly threads: number;
  readonly addresses: readonly BindAddress[];
  /** Where the application is: after `chdir`. */
  readonly directory: string;
  /** For the list of processes. */
  readonly name: string;
  /** Of the workers; "": the number has no name. */
  readonly userName: string;
  /** The access log is written by a logger of Python's. */
  readonly accessInPython: boolean;
  /** null: plain HTTP. */
  readonly tls: TlsSettings | null;
  readonly http2: boolean;
  /** `wanted`: somebody has named it; null: none. */
  readonly control: { readonly path: string; readonly mode: number; readonly wanted: boolean } | null;
  /** What is accepted, and what applies instead. */
  readonly notes: readonly string[];
}

const home = join(import.meta.dir, "../../python/alicorn");

/**
 * Lets Python read the settings. A number instead: all is said and done (--help, --check-config, a mistake), and it is the exit code.
 * Throws StartError if there is no Python.
 */
export async function readSettings(args: readonly string[], directory: string): Promise<GunicornSettings | number> {
  const python = findPython(undefined, directory, process.env);
  const output = sharedMemory("alicorn-settings", 0);
  try {
    const child = Bun.spawn([python, home, "--settings", version, ...args], {
      cwd: directory,
      stdio: ["inherit", "inherit", "inherit", output],
    });
    const code = await child.exited;
    const text = readFileSync(`/proc/self/fd/${output}`, "utf8");
    if (code !== 0 || text === "") return child.signalCode === null ? code : 1;
    return { ...(JSON.parse(text) as Omit<GunicornSettings, "python">), python };
  } catch (error) {
    if (error instanceof SyntaxError) throw new StartError(`${python} did not say what the settings are`);
    throw error;
  } finally {
    closeFd(output);
  }
}
