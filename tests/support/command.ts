/** A command that is run to its end. */
import type { Subprocess } from "bun";

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What a process says and how it ends. */
export async function ended(child: Subprocess<"ignore", "pipe", "pipe">): Promise<Ended> {
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}
