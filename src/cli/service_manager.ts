/** systemd: sockets that it hands over (LISTEN_FDS), and what it wants to hear (NOTIFY_SOCKET; sd_notify(3)). */
import { Datagram } from "../net/datagram.ts";
import { monotonicSeconds } from "../net/libc.ts";

const firstFd = 3;

/** The descriptors that are meant for this process; the variables are taken out of the environment. */
export function activatedSockets(environment: NodeJS.ProcessEnv): readonly number[] {
  const { LISTEN_PID, LISTEN_FDS } = environment;
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete environment[name];
  if (LISTEN_PID !== String(process.pid) || !/^\d{1,4}$/.test(LISTEN_FDS ?? "")) return [];
  return Array.from({ length: Number(LISTEN_FDS) }, (_, i) => firstFd + i);
}

/** Says how the service is. Without a manager it says nothing. */
export class ServiceManager {
  readonly #socket: Datagram | undefined;

  constructor(environment: NodeJS.ProcessEnv) {
    const path = environment.NOTIFY_SOCKET;
    if (path === undefined || !/^[/@]./.test(path)) return;
    this.#socket = new Datagram({ kind: "unix", path: path.replace(/^@/, "\0") });
    const { WATCHDOG_USEC, WATCHDOG_PID } = environment;
    const microseconds = Number(WATCHDOG_USEC);
    // Half of the time, as sd_watchdog_enabled(3) advises.
    if (microseconds > 0 && (WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid)))
      setInterval(() => this.#say("WATCHDOG=1"), microseconds / 2000);
  }

  ready(status: string): void {
    this.#say(`READY=1\nSTATUS=${status}`);
  }

  reloading(): void {
    this.#say(`RELOADING=1\nMONOTONIC_USEC=${Math.floor(monotonicSeconds() * 1e6)}`);
  }

  stopping(): void {
    this.#say("STOPPING=1");
  }

  /** Another process than the one that was started is the service now. */
  isMain(): void {
    this.#say(`MAINPID=${process.pid}\nREADY=1`);
  }

  #say(text: string): void {
    try {
      this.#socket?.send(Buffer.from(text));
    } catch {
      // A manager that does not listen does not want to know.
    }
  }
}
