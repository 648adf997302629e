/** The web-worker process: one event loop that accepts clients, speaks HTTP and runs the web side. Life: start, serve, drain, stop. */
import { readFileSync, unlinkSync } from "node:fs";
import { Dispatcher } from "../app/dispatch.ts";
import { Link } from "../app/link.ts";
import { type Log, makeLog } from "../base/log.ts";
import { Timers } from "../base/timers.ts";
import { strictPolicy } from "../http/h1/policy.ts";
import { H1Server } from "../http/h1/server.ts";
import { LogFile } from "../net/log_file.ts";
import { acceptOn, type Listener } from "../net/plain.ts";
import type { Transport } from "../net/transport.ts";
import { Scoreboard } from "../shm/scoreboard.ts";
import { accessLog } from "../web/modules/log.ts";
import { Site } from "../web/site.ts";
import { Connection, type LocalEnd } from "./connection.ts";
import { inherited, type Leftovers, type WorkerOrder, type WorkerPlan } from "./plan.ts";
import type { Service } from "./service.ts";

/** Of the connections at the limit, this share of idle ones makes room for new clients at once. */
const shedShare = 16;

/** Runs until the master says stop or is gone. */
export function runWebWorker(): void {
  let worker: WebWorker | undefined;
  process.on("message", (order: WorkerOrder) => {
    if (order.type === "start") worker = new WebWorker(order);
    else if (order.type === "drain") worker?.drain(order.withinMs);
    else worker?.reopenLogs();
  });
  // Without a master there is nobody to answer to: clients are better off with a closed port.
  process.on("disconnect", () => {
    worker?.cleanUp();
    process.exit(0);
  });
  // The master decides: a terminal's Ctrl-C reaches every process of the group.
  for (const signal of ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const)
    process.on(signal, () => {});
}

class WebWorker {
  readonly #service: Service;
  readonly #log: Log;
  readonly #logs: readonly LogFile[];
  readonly #listeners: readonly Listener[];
  readonly #leftovers: Leftovers;
  #draining = false;

  constructor(plan: WorkerPlan) {
    this.#leftovers = plan.leftovers;
    const errors = new LogFile(plan.errorLog, 2);
    const access = plan.accessLog === undefined ? undefined : new LogFile(plan.accessLog, 1);
    this.#logs = access === undefined ? [errors] : [errors, access];
    this.#log = makeLog(plan.logLevel, (line) => errors.write(line));
    const timers = new Timers().start();
    const board = new Scoreboard(inherited.board);
    const { webWorker, secret, queueTimeoutMs } = plan;
    const dispatcher = new Dispatcher({ board, webWorker, timers, log: this.#log, queueTimeoutMs });
    acceptOn(inherited.link, (transport) => new Link(transport, dispatcher, secret, this.#log));
    this.#service = {
      site: new Site(plan.site, dispatcher),
      timers,
      log: this.#log,
      access: access && accessLog((lines) => access.write(lines)),
      limits: plan.limits,
      connections: new Set(),
    };
    this.#listeners = plan.listeners.map((local, i) =>
      acceptOn(inherited.firstListener + i, (transport) => this.#accept(transport, local)),
    );
    process.send?.({ type: "serving" });
  }

  #accept(transport: Transport, local: LocalEnd): Connection {
    const { connections, limits } = this.#service;
    const connection = new Connection(transport, new H1Server(strictPolicy), this.#service, local);
    if (connections.size >= limits.connections) this.#makeRoom();
    if (connections.size >= limits.connections) {
      this.#log.warning(`${limits.connections} connections, all busy: a new one was closed`);
      // Not before the transport knows whom to tell that it is closed.
      queueMicrotask(() => transport.abort());
    }
    connections.add(connection);
    return connection;
  }

  /** Closes the idle connections that have been open longest. */
  #makeRoom(): void {
    const { connections, limits } = this.#service;
    let wanted = Math.ceil(limits.connections / shedShare);
    for (const connection of [...connections]) {
      if (wanted === 0) break;
      if (!connection.idle) continue;
      connections.delete(connection);
      connection.retire();
      wanted--;
    }
  }

  drain(withinMs: number): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const listener of this.#listeners) listener.stop();
    for (const connection of [...this.#service.connections]) connection.retire();
    const leave = () => process.exit(0);
    setTimeout(leave, withinMs);
    const look = () => this.#service.connections.size === 0 && leave();
    setInterval(look, 20);
    look();
  }

  /** The master is gone without having tidied up. */
  cleanUp(): void {
    if (this.#draining) return;
    const { unixPaths, pidFile, masterPid } = this.#leftovers;
    for (const path of unixPaths) removeFile(path);
    if (pidFile !== undefined && readFileOr(pidFile, "").trim() === String(masterPid)) removeFile(pidFile);
  }

  reopenLogs(): void {
    for (const file of this.#logs) {
      try {
        file.reopen();
      } catch (error) {
        this.#log.error(`cannot reopen a log file: ${(error as Error).message}`);
      }
    }
  }
}

function readFileOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Another web worker was faster.
  }
}
