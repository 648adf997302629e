/** Where Nginx's files are unless the command line or the configuration says otherwise: as Debian has them. */
import { isAbsolute, join, resolve } from "node:path";
import type { NginxOptions } from "./nginx_options.ts";

export const defaultPrefix = "/etc/nginx/";
export const defaultFile = "nginx.conf";
export const defaultErrorLog = "/var/log/nginx/error.log";
export const defaultPidFile = "/run/nginx.pid";

export interface NginxPaths {
  /** Absolute, ends with a slash. */
  readonly prefix: string;
  readonly file: string;
  /** A file, or "-" for stderr. */
  readonly errorLog: string;
}

/** A relative prefix begins in the working directory, the other paths in the prefix. */
export function nginxPaths({ prefix: given, file, errorLog }: NginxOptions): NginxPaths {
  const prefix = given === undefined ? defaultPrefix : `${resolve(given)}/`.replace(/\/\/$/, "/");
  const within = (path: string) => (isAbsolute(path) ? path : join(prefix, path));
  return {
    prefix,
    file: within(file ?? defaultFile),
    errorLog: errorLog === "stderr" ? "-" : within(errorLog ?? defaultErrorLog),
  };
}
