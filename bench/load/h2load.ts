/** h2load as the load: so many HTTP/2 connections over TLS, so many streams at a time on each. */
import type { Load, Outcome, Target } from "./load.ts";

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

async function run(load: H2Load, { port }: Target, seconds: number): Promise<string> {
  const child = Bun.spawn([...argv(load), "-D", `${seconds}`, `https://127.0.0.1:${port}${load.path}`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: (seconds + 15) * 1000,
    killSignal: "SIGKILL",
  });
  const end = () => child.kill("SIGKILL");
  process.on("exit", end);
  try {
    const [printed, complaint] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return printed + complaint;
  } finally {
    process.off("exit", end);
  }
}

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
