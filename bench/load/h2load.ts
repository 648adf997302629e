/** h2load as the load: so many HTTP/2 connections over TLS, so many streams at a time on each. */
import type { Load, Outcome, Target } from "./load.ts";
import { runTool } from "./tool.ts";

export interface H2Load {
  path: string;
  connections: number;
  /** Streams at a time on each connection. */
  streams: number;
}

const warmSeconds = 1;

export function h2load(load: H2Load): Load {
  return {
    label: `${argv(load).join(" ")} https://127.0.0.1:PORT${load.path}`,
    warm: async (target) => void (await run(load, target, warmSeconds)),
    run: async (target, seconds) => outcome(await run(load, target, seconds), seconds),
  };
}

const argv = ({ connections, streams }: H2Load): string[] => ["h2load", `-c${connections}`, `-m${streams}`];

const run = (load: H2Load, { port }: Target, seconds: number): Promise<string> =>
  runTool([...argv(load), "-D", `${seconds}`, `https://127.0.0.1:${port}${load.path}`], {
    timeoutMs: (seconds + 15) * 1000,
  });

/** It prints no percentiles: only how many were answered, and how many were not. */
function outcome(printed: string, seconds: number): Outcome {
  const [, good, failed] = /(\d+) succeeded, (\d+) failed/.exec(printed) ?? [];
  const [, other2, other4, other5] = /status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(printed) ?? [];
  if (good === undefined)
    return { requests: 0, figures: {}, errors: [`h2load gave no result: ${printed.trim().slice(-200)}`] };
  const requests = Number(good);
  // What is under way when the time is over counts as failed there: one full set of streams is nobody's fault.
  const wrong = Number(other2) + Number(other4) + Number(other5);
  const errors = wrong > 0 ? [`${wrong} answers other than 2xx`] : [];
  if (Number(failed) > requests / 100) errors.push(`${failed} requests failed`);
  return { requests, figures: { requestsPerSecond: requests / seconds }, errors };
}
