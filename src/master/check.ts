/** `--check`: would it start? Binds the addresses, loads the applications, and lets go of both. */

import type { Log } from "../base/log.ts";
import { closeFd, sharedMemory } from "../net/libc.ts";
import { Scoreboard, scoreboardSize } from "../shm/scoreboard.ts";
import { Arbiter, ArbiterFailure } from "./arbiter.ts";
import type { AppPlan, Plan } from "./plan.ts";
import { zeroReport } from "./report.ts";
import { closeSockets, openSockets } from "./sockets.ts";

/** The exit code. Throws StartError for an address that cannot be had. */
export async function check(plan: Plan, log: Log): Promise<number> {
  const explain = zeroReport(log).cannotListen;
  closeSockets(await openSockets(plan.listens, { kept: [], webWorkers: 1, tries: 1, explain, onInUse() {} }));
  for (const app of plan.apps) {
    const exitCode = await checkApp(app, plan, log);
    if (exitCode !== 0) return exitCode;
  }
  process.stderr.write("alicorn: options, addresses and application are fine\n");
  return 0;
}

async function checkApp(app: AppPlan, plan: Plan, log: Log): Promise<number> {
  const slots = 2;
  const board = sharedMemory("alicorn-scoreboard", scoreboardSize(slots));
  new Scoreboard(board).initialise(slots, 0);
  const arbiter = new Arbiter({
    plan: { ...app, workers: 1, reload: false },
    generation: 1,
    firstAge: 0,
    slots: [0, slots],
    board,
    links: [],
    secret: "0".repeat(32),
    errorLog: plan.errorLog,
    logLevel: plan.logLevel,
  });
  try {
    await arbiter.serving;
    return 0;
  } catch (error) {
    if (!(error instanceof ArbiterFailure)) throw error;
    log.error(error.message);
    return error.exitCode;
  } finally {
    arbiter.quit();
    await arbiter.exited;
    closeFd(board);
  }
}
