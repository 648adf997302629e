/** Which signal asks the master for what. */

export type Action =
  /** End at once; connections are cut. */
  | "stop"
  /** Finish what is under way, then end. */
  | "finish"
  /** Take the configuration and the application's code as they are now. */
  | "reload"
  /** Open the log files anew. */
  | "reopen"
  /** Start the program as it is now on the disk, with the same sockets. */
  | "upgrade"
  /** Finish what is under way without ending; `reload` brings the workers back. */
  | "retire"
  /** One application worker more, one fewer. */
  | "grow"
  | "shrink"
  | "ignore";

export type SignalTable = Readonly<Partial<Record<NodeJS.Signals, Action>>>;

/** Gunicorn's, where the two differ: its users are those of `alicorn app:app`. */
export const zeroSignals: SignalTable = {
  SIGTERM: "finish",
  SIGINT: "stop",
  SIGQUIT: "stop",
  SIGHUP: "reload",
  SIGUSR1: "reopen",
  SIGUSR2: "ignore",
  SIGWINCH: "ignore",
  SIGTTIN: "grow",
  SIGTTOU: "shrink",
};

/** Nginx's; those that it does not know are Gunicorn's. */
export const nginxSignals: SignalTable = {
  SIGTERM: "stop",
  SIGINT: "stop",
  SIGQUIT: "finish",
  SIGHUP: "reload",
  SIGUSR1: "reopen",
  SIGUSR2: "upgrade",
  SIGWINCH: "retire",
  SIGTTIN: "grow",
  SIGTTOU: "shrink",
};

/** Calls `act` for each of the table's signals that arrives. */
export function onSignals(table: SignalTable, act: (action: Action, signal: NodeJS.Signals) => void): void {
  for (const [name, action] of Object.entries(table) as [NodeJS.Signals, Action][])
    process.on(name, () => act(action, name));
}
