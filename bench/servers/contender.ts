/** What a case starts: a server program, or several that work together, with one or more settings to choose from. */
import type { ToolName, Tools } from "../tools.ts";

/** Where one instance of a contender lives. */
export interface Place {
  /** Listen here, on 127.0.0.1. */
  port: number;
  /** An empty folder of its own, readable for everyone (Nginx's workers run as another user). */
  folder: string;
  tools: Tools;
  cores: number;
  /** bench/apps */
  apps: string;
  /** A certificate for localhost is in this file with ".crt" at its end, its key with ".key". */
  certificate: string;
  /** Holds 1k.txt, 4k.txt, 10k.txt, 100k.txt, 1m.txt. */
  files: string;
  /** The SQLite database of the Django case. */
  database: string;
}

/** One process to start. */
export interface Command {
  argv: string[];
  cwd: string;
  env?: Record<string, string>;
  /** Written before the start, e.g. a configuration; printed with the results. */
  files?: { path: string; text: string }[];
}

/** One way to set a contender up. */
export interface Variant {
  label: string;
  commands(place: Place): Command[];
}

export interface Contender {
  /** Unique within a case; cases name their opponents by it. */
  name: string;
  /** Alicorn itself: the one whose ratios are reported. */
  ours: boolean;
  needs: ToolName[];
  /** Tried shortly before the rounds: the best one takes part in them. */
  variants: Variant[];
}

/** So many processes with so many threads each. */
export interface Shape {
  processes: number;
  threads: number;
}

export const shape = (processes: number, threads: number): Shape => ({ processes, threads });

/** A WSGI application to serve. */
export interface AppDemand {
  /** "module:variable" in bench/apps */
  app: string;
  /** HTTP/2 over TLS, with the certificate of the place. */
  secure?: boolean;
  /** What it needs besides Python. */
  needs?: ToolName[];
}

/** What an application finds in its environment. */
export function appEnvironment(place: Place): Record<string, string> {
  return { BENCH_DATABASE: place.database, PYTHONDONTWRITEBYTECODE: "1" };
}
