/** The web-worker process: one event loop that accepts clients, speaks HTTP and runs the web side. Life: start, serve, drain, stop. */
import { readFileSync, unlinkSync } from "node:fs";
import { Dispatcher, type GivenCall } from "../app/dispatch.ts";
import { Link } from "../app/link.ts";
import type { ErrorLevel, ErrorLog } from "../base/error_log.ts";
import { type Log, type LogLevel, logLine } from "../base/log.ts";
import { Timers } from "../base/timers.ts";
import { H1Server } from "../http/h1/server.ts";
import { H2Server } from "../http/h2/server.ts";
import { initGroups, showDescriptors } from "../net/libc.ts";
import { acceptOn, type Listener, type PlainTransport } from "../net/plain.ts";
import type { Transport } from "../net/transport.ts";
import { Counters } from "../shm/counters.ts";
import { Scoreboard } from "../shm/scoreboard.ts";
import { makeErrorLog } from "../web/core/error_log.ts";
import type { GunicornConf } from "../web/core/gunicorn.ts";
import { mainDirectives } from "../web/core/main.ts";
import type { ProxyHeader } from "../web/exchange.ts";
import type { Runtime } from "../web/module.ts";
import { type Built, buildConfiguration, Site, type SiteAddress } from "../web/site.ts";
import { ConnectionClient } from "./client.ts";
import { Connection } from "./connection.ts";
import { H2Connection } from "./h2_connection.ts";
import { LogFiles } from "./log_files.ts";
import { OptionalPreface } from "./optional_preface.ts";
import {
  firstInherited,
  type Leftovers,
  type ListenerPlan,
  type WorkerOrder,
  type WorkerPlan,
  type WorkerReport,
} from "./plan.ts";
import { Preface } from "./preface.ts";
import { ProtocolChoice } from "./protocol_choice.ts";
import { ProxyPreface } from "./proxy_preface.ts";
import { SecurePreface } from "./secure_preface.ts";
import type { ServedHandler, Service } from "./service.ts";
import { UwsgiPreface } from "./uwsgi_preface.ts";

/** Of the connections at the limit, this share of idle ones makes room for new clients at once. */
const shedShare = 16;
/** Who has just been answered may be about to ask again: idle connections stay so much longer, and no such request is lost, ms. */
const lastRequestMs = 100;

/** Connections that are cut off end, and their requests are logged, within this time, ms. */
const cutMs = 20;

/** Runs until the master says stop or is gone. */
export function runWebWorker(): void {
  let worker: WebWorker | undefined;
  process.on("message", (order: WorkerOrder) => {
    if (order.type === "start") worker = new WebWorker(order);
    else if (order.type === "accept") worker?.accept();
    else if (order.type === "drain") worker?.drain(order.withinMs);
    else if (order.type === "calls") say({ type: "calls", question: order.question, calls: worker?.calls() ?? {} });
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

function say(report: WorkerReport): void {
  process.send?.(report);
}

class WebWorker {
  readonly #apps = new Map<string, Dispatcher>();
  readonly #service: Service;
  readonly #log: ErrorLog;
  readonly #files = new LogFiles();
  readonly #accept: () => readonly Listener[];
  #listeners: readonly Listener[] = [];
  readonly #leftovers: Leftovers;

  constructor(plan: WorkerPlan) {
    this.#leftovers = plan.leftovers;
    process.on("exit", () => this.#files.flush());
    const built = buildConfiguration(plan.configuration);
    this.#log = this.#mainLog(built, plan);
    const timers = new Timers().start();
    const counters = new Counters(firstInherited);
    const lane = counters.claim(process.pid);
    let fd = firstInherited + 1;
    for (const { name, queueTimeoutMs } of plan.apps) {
      const board = new Scoreboard(fd++);
      const log = asLog(this.#log);
      const dispatcher = new Dispatcher({ board, webWorker: plan.webWorker, timers, log, queueTimeoutMs });
      acceptOn(fd++, (transport) => new Link(transport, dispatcher, plan.secret, log));
      this.#apps.set(name, dispatcher);
    }
    const zones = new Map(plan.zones.map(({ name }) => [name, fd++]));
    const runtime: Runtime = {
      webWorker: plan.webWorker,
      timers,
      log: this.#log,
      user: plan.user,
      formatError,
      serverToken: `alicorn/${plan.version}`,
      counters,
      lane,
      app: (name) => found(this.#apps.get(name), `app "${name}"`),
      zone: (name) => found(zones.get(name), `zone "${name}"`),
      logFile: (path) => this.#files.open(path),
      accessLog: (path, buffering) => this.#files.openGathered(path, buffering),
    };
    this.#service = {
      timers,
      log: this.#log,
      counters,
      lane,
      maxConnections: plan.connections,
      connections: new Set(),
      draining: false,
    };
    const site = new Site(built, runtime);
    if (plan.user !== undefined) this.#become(plan.user);
    this.#accept = () => plan.listeners.map((listener, i) => this.#listen(fd + i, listener, site));
    say({ type: "ready" });
  }

  /** Not before the master says so: should others of its generation fail, no client has come here. */
  accept(): void {
    this.#listeners = this.#accept();
    say({ type: "serving" });
  }

  #mainLog({ main }: Built, { configuration }: WorkerPlan): ErrorLog {
    const { error_log, error_log_style } = main.conf(mainDirectives);
    const logs = error_log.length > 0 ? error_log : [{ to: configuration.errorLog, level: "error" as const }];
    return makeErrorLog(
      logs,
      (path) => this.#files.open(path),
      error_log_style === "gunicorn" ? formatError : undefined,
    );
  }

  /** A worker that cannot give up root's rights must not serve, and trying again would not help. */
  #become(user: NonNullable<WorkerPlan["user"]>): void {
    try {
      dropPrivileges(user);
    } catch (error) {
      this.#log.log("emerg", `cannot become the user "${user.name}": ${(error as Error).message}`);
      process.exit(2);
    }
  }

  #listen(fd: number, { key, local }: ListenerPlan, site: Site): Listener {
    const address = found(site.addresses.get(key), `servers of ${key}`);
    return acceptOn(fd, (transport) => {
      const { counters, lane } = this.#service;
      const acceptedAt = performance.now();
      counters.add(lane, "accepted", 1);
      counters.add(lane, "handled", 1);
      counters.add(lane, "active", 1);
      const begin = (proxy: ProxyHeader | undefined) =>
        this.#begin(transport, address, new ConnectionClient(transport, local, acceptedAt, proxy));
      if (address.proxyProtocol) return new Preface(transport, this.#service, new ProxyPreface(begin));
      return address.gunicorn === undefined ? begin(undefined) : this.#asGunicorn(transport, address.gunicorn, begin);
    });
  }

  /** Gunicorn's settings may let something come ahead of HTTP. */
  #asGunicorn(
    transport: Transport,
    { wire_protocol, uwsgi_allow_ips, gunicorn_proxy_protocol: mode, proxy_allow_ips }: GunicornConf,
    begin: (proxy: ProxyHeader | undefined) => ServedHandler,
  ): ServedHandler {
    if (wire_protocol === "uwsgi")
      return new Preface(transport, this.#service, new UwsgiPreface(uwsgi_allow_ips, () => begin(undefined)));
    if (mode === "off") return begin(undefined);
    return new Preface(transport, this.#service, new OptionalPreface({ mode, allows: proxy_allow_ips }, begin));
  }

  #begin(transport: PlainTransport, address: SiteAddress, client: ConnectionClient): ServedHandler {
    const here = address.at(client);
    if (!here.isSecure) return this.#connect(transport, address, client);
    return new SecurePreface(transport, this.#service, { address: here, client }, (over) =>
      this.#connect(over, here, client),
    );
  }

  #connect(transport: Transport, address: SiteAddress, client: ConnectionClient): ServedHandler {
    const { connections, maxConnections } = this.#service;
    const connection = this.#connection(transport, address, client);
    if (connections.size >= maxConnections) this.#makeRoom();
    if (connections.size >= maxConnections) {
      this.#log.log("alert", `${maxConnections} worker_connections are not enough, all are busy: a new one was closed`);
      // Not before the transport knows whom to tell that it is closed.
      queueMicrotask(() => transport.abort());
    }
    connections.add(connection);
    return connection;
  }

  #connection(transport: Transport, address: SiteAddress, client: ConnectionClient): ServedHandler {
    const service = this.#service;
    const { http2 } = address;
    const http1 = () => new Connection(transport, new H1Server(address.policyFor(client)), service, address, client);
    const { secure } = client;
    if (http2 !== undefined && secure?.protocol === "h2")
      return new H2Connection(transport, new H2Server(http2), service, address, client);
    // Over TLS the handshake has settled it (RFC 9113 3.2).
    if (http2 === undefined || secure !== undefined) return http1();
    const { headerTimeoutMs } = address.defaultServer.root.limits;
    return new ProtocolChoice(transport, service, headerTimeoutMs, (protocol) =>
      protocol === "http/1" ? http1() : new H2Connection(transport, new H2Server(http2), service, address, client),
    );
  }

  /** Closes the idle connections that have been open longest. */
  #makeRoom(): void {
    const { connections, maxConnections } = this.#service;
    let wanted = Math.ceil(maxConnections / shedShare);
    for (const connection of [...connections]) {
      if (wanted === 0) break;
      if (!connection.idle) continue;
      connections.delete(connection);
      connection.retire();
      wanted--;
    }
  }

  /** `withinMs`: what is not finished by then is cut off; 0: nothing is. A second order may only shorten the time. */
  drain(withinMs: number): void {
    const leave = () => process.exit(0);
    const { connections } = this.#service;
    // What is cut off is logged before we leave.
    const cut = () => {
      for (const connection of [...connections]) connection.abort?.();
      setTimeout(leave, cutMs);
    };
    if (withinMs > 0) setTimeout(cut, withinMs);
    if (this.#service.draining) return;
    this.#service.draining = true;
    const retireIdle = () => {
      for (const connection of [...connections]) connection.retire();
    };
    setTimeout(retireIdle, lastRequestMs);
    const look = () => connections.size === 0 && leave();
    // What waits in the kernel's queues is taken first, in the turn between: a closed socket would reset it.
    setImmediate(() =>
      setImmediate(() => {
        for (const listener of this.#listeners) listener.stop();
        setInterval(look, 20);
        look();
      }),
    );
  }

  /** The master is gone without having tidied up. */
  cleanUp(): void {
    if (this.#service.draining) return;
    const { unixPaths, pidFile, masterPid } = this.#leftovers;
    for (const path of unixPaths) removeFile(path);
    if (pidFile !== undefined && readFileOr(pidFile, "").trim() === String(masterPid)) removeFile(pidFile);
  }

  /** What the applications' workers are busy with, by application. */
  calls(): Readonly<Record<string, readonly GivenCall[]>> {
    return Object.fromEntries([...this.#apps].map(([name, dispatcher]) => [name, dispatcher.given()]));
  }

  reopenLogs(): void {
    for (const failure of this.#files.reopen()) this.#log.log("emerg", failure);
  }
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the master has not given us the ${what}`);
  return value;
}

/** The directive `user`: the sockets and logs are open, no more rights are needed. */
function dropPrivileges({ uid, gid, name }: NonNullable<WorkerPlan["user"]>): void {
  initGroups(name, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
  showDescriptors();
}

const gunicornLevels: Readonly<Record<ErrorLevel, LogLevel>> = {
  emerg: "critical",
  alert: "critical",
  crit: "critical",
  error: "error",
  warn: "warning",
  notice: "info",
  info: "info",
  debug: "debug",
};

/** `error_log_style gunicorn` */
const formatError = (level: ErrorLevel, message: string): string =>
  logLine(new Date(), process.pid, gunicornLevels[level], message);

/** What the application's side logs into. */
const asLog = (log: ErrorLog): Log => ({
  debug: (message) => log.log("debug", message),
  info: (message) => log.log("info", message),
  warning: (message) => log.log("warn", message),
  error: (message) => log.log("error", message),
});

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
