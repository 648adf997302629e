/**
 * Going into the background. The runtime cannot fork, so the program starts itself once more, in a session of its own, and ends when
 * the other one serves; what goes wrong until then is said at the terminal, and is the exit code.
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import { newSession, redirect } from "../net/libc.ts";

/** Set for the one in the background. */
const variable = "ALICORN_DAEMON";

/**
 * The command line that starts this program as it was started. The system's copy of it, since the runtime's has links resolved: a
 * path through a link that names another release by now shall lead there.
 */
export const ownCommand = (): string[] => readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);

/** Starts the one in the background, and waits until it serves or has failed. The exit code of the one in the foreground. */
export async function startInBackground(): Promise<number> {
  const serves = Promise.withResolvers<number>();
  const child = Bun.spawn(ownCommand(), {
    stdio: ["inherit", "inherit", "inherit"],
    env: { ...process.env, [variable]: "1" },
    serialization: "json",
    ipc: () => serves.resolve(0),
  });
  return await Promise.race([serves.promise, child.exited.then((code) => code || 1)]);
}

/** Is this the one in the background? Then it leaves the terminal's session. */
export function becomeDaemon(): boolean {
  if (process.env[variable] === undefined) return false;
  delete process.env[variable];
  newSession();
  return true;
}

/** Lets go of the terminal, but for standard error, and lets the one in the foreground end. */
export function leaveForeground(): void {
  const nothing = openSync("/dev/null", "r+");
  for (const standard of [0, 1]) redirect(standard, nothing);
  closeSync(nothing);
  process.send?.({ type: "serves" });
  process.disconnect?.();
}
