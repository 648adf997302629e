/** What signals mean under Gunicorn's command line. */
import type { SignalTable } from "../master/signals.ts";

/** WINCH is for daemons: a terminal sends it when its window changes its size. */
export const gunicornSignals = (daemon: boolean): SignalTable => ({
  SIGTERM: "finish",
  SIGINT: "stop",
  SIGQUIT: "stop",
  SIGHUP: "reload",
  SIGUSR1: "reopen",
  SIGUSR2: "upgrade",
  SIGWINCH: daemon ? "retire" : "ignore",
  SIGTTIN: "grow",
  SIGTTOU: "shrink",
});
