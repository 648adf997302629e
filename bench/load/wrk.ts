/** wrk as the load: closed loop, every connection sends its next request when the last is answered. */
import { join } from "node:path";
import type { Load, Outcome, Target } from "./load.ts";
import { runTool } from "./tool.ts";

export interface WrkLoad {
  path: string;
  connections: number;
  /** POST that many bytes; GET when absent. */
  bodyBytes?: number;
  /** Further fields of the requests. */
  headers?: Record<string, string>;
  /** A new connection for each request. */
  close?: boolean;
  /** Over TLS. */
  secure?: boolean;
}

/** wrk knows whole seconds only, and half of one is enough. */
const warmMs = 500;
/** wrk's own time-out: a request that takes longer is counted as an error. */
const timeoutSeconds = 10;

/** The same load with one and with two wrk threads: which one drives a server harder depends on the server. */
export function wrkEither(load: WrkLoad): Load[] {
  return [wrk(load, 1), wrk(load, 2)];
}

export function wrk(load: WrkLoad, threads: number): Load {
  return {
    label: `${argv(load, threads).join(" ")} ${scheme(load)}://127.0.0.1:PORT${load.path}${load.bodyBytes ? ` (POST ${load.bodyBytes} bytes)` : ""}`,
    warm: async (target) => void (await runWrk(load, target, threads, 1, warmMs)),
    run: async (target, seconds) => outcome(await runWrk(load, target, threads, seconds)),
  };
}

const scheme = ({ secure }: WrkLoad): string => (secure ? "https" : "http");

function argv(load: WrkLoad, threads: number): string[] {
  const fields = { ...load.headers, ...(load.close ? { Connection: "close" } : {}) };
  const header = Object.entries(fields).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  return ["wrk", `-t${threads}`, `-c${load.connections}`, "--latency", `--timeout=${timeoutSeconds}s`, ...header];
}

/** What wrk printed; `cutMs` ends it early, as Ctrl-C would. */
function runWrk(load: WrkLoad, target: Target, threads: number, seconds: number, cutMs?: number): Promise<string> {
  const url = `${scheme(load)}://127.0.0.1:${target.port}${load.path}`;
  return runTool([...argv(load, threads), `-d${seconds}s`, "-s", join(import.meta.dir, "wrk.lua"), url], {
    env: load.bodyBytes ? { BENCH_BODY_BYTES: `${load.bodyBytes}` } : {},
    timeoutMs: cutMs ?? (seconds + timeoutSeconds + 5) * 1000,
    endedBy: cutMs === undefined ? "SIGKILL" : "SIGINT",
  });
}

/** The line that wrk.lua writes. */
interface Printed {
  requests: number;
  durationUs: number;
  p50Us: number;
  p99Us: number;
  connect: number;
  read: number;
  write: number;
  status: number;
  timeout: number;
}

function outcome(printed: string): Outcome {
  const line = printed.match(/^BENCH (.*)$/m)?.[1];
  if (line === undefined)
    return { requests: 0, figures: {}, errors: [`wrk gave no result: ${printed.trim().slice(-200)}`] };
  const found = JSON.parse(line) as Printed;
  const errors = (["connect", "read", "write", "timeout"] as const)
    .filter((kind) => found[kind] > 0)
    .map((kind) => `${found[kind]} ${kind} errors`);
  if (found.status > 0) errors.push(`${found.status} answers other than 2xx or 3xx`);
  const requestsPerSecond = found.requests / (found.durationUs / 1e6);
  return { requests: found.requests, figures: { requestsPerSecond, p50Us: found.p50Us, p99Us: found.p99Us }, errors };
}
