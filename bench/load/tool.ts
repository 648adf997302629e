/** A load generator as a process: what it prints is its result. */

export interface ToolOptions {
  readonly env?: Record<string, string>;
  /** It is ended after so long, ms, … */
  readonly timeoutMs: number;
  /** … by this signal. */
  readonly endedBy?: "SIGKILL" | "SIGINT";
}

/** Runs it to its end, or to that of the benchmark; all that it has printed. */
export async function runTool(argv: readonly string[], options: ToolOptions): Promise<string> {
  const { env, timeoutMs, endedBy = "SIGKILL" } = options;
  const child = Bun.spawn([...argv], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeoutMs,
    killSignal: endedBy,
  });
  const end = () => child.kill("SIGKILL"); // It would go on when the benchmark is interrupted.
  process.on("exit", end);
  try {
    const [printed, complaint] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return printed + complaint;
  } finally {
    process.off("exit", end);
  }
}
