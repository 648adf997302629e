/**
 * The control socket: a Unix socket over which the service is asked what it does and told what to do. It speaks the protocol of
 * Gunicorn's `gunicornc`: messages of JSON, each behind its length as four bytes, big-endian.
 */
import { chmodSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { closeFd, errorText, isAlive, listenOn, SystemError, withUmask } from "../net/libc.ts";
import { acceptOn, type Listener } from "../net/plain.ts";
import type { Transport, TransportHandler } from "../net/transport.ts";
import type { ControlPlan } from "../web/core/main.ts";
import { CommandError, type Controlled, obey } from "./control_commands.ts";
import type { Report } from "./report.ts";

/** Longer requests are no requests. */
const mostBytes = 65_536;

interface Open {
  readonly plan: ControlPlan;
  readonly listener: Listener;
  readonly inode: number;
}

export class ControlSocket {
  readonly #service: Controlled;
  readonly #report: Report;
  #open: Open | undefined;

  constructor(service: Controlled, report: Report) {
    this.#service = service;
    this.#report = report;
  }

  /** Listens there from now on. What stands in its way is said: a service does without, rather than not at all. */
  use(plan: ControlPlan | undefined): void {
    const before = this.#open?.plan;
    if (before !== undefined && before.path === plan?.path && before.mode === plan.mode) return;
    this.close();
    if (plan === undefined) return;
    const { path, optional } = plan;
    try {
      this.#open = this.#listen(plan);
      this.#report.controlled(path);
    } catch (error) {
      const why = error instanceof SystemError ? errorText(error.errno) : (error as Error).message;
      if (!optional) this.#report.wrong("warn", `no control socket at ${path}: ${why}`);
    }
  }

  #listen(plan: ControlPlan): Open {
    const { path, mode } = plan;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    removeStale(path);
    const address = { kind: "unix", path } as const;
    const fd = withUmask(0o177, () => listenOn(address, { backlog: 16, reusePort: false }));
    try {
      chmodSync(path, mode);
      const listener = acceptOn(fd, (transport) => new Conversation(transport, this.#service));
      return { plan, listener, inode: lstatSync(path).ino };
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  close(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    open.listener.stop();
    const { path } = open.plan;
    // Another service may have taken the name meanwhile.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === open.inode) unlinkSync(path);
  }
}

/** Removes the socket of a server that has ended without doing so. Throws an Error if it is in use, or no socket. */
function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error("there is a file that is no socket");
  if (isAlive(path)) throw new Error("another server has it");
  unlinkSync(path);
}

interface Request {
  readonly id: unknown;
  readonly words: readonly string[];
}

/** One client: its requests are answered one after the other. */
class Conversation implements TransportHandler {
  readonly #transport: Transport;
  readonly #service: Controlled;
  #bytes: Buffer = Buffer.alloc(0);
  #isBusy = false;
  #hasEnded = false;

  constructor(transport: Transport, service: Controlled) {
    this.#transport = transport;
    this.#service = service;
  }

  onBytes(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    void this.#goOn();
  }

  async #goOn(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let request = this.#next(); request !== undefined; request = this.#next())
      this.#say(await answer(request, this.#service));
    this.#isBusy = false;
    if (this.#hasEnded) this.#transport.end();
  }

  /** The next whole message. A client that does not speak the protocol is shown out. */
  #next(): Request | undefined {
    if (this.#bytes.length < 4) return undefined;
    const length = this.#bytes.readUInt32BE(0);
    if (length > mostBytes) {
      this.#transport.abort();
      return undefined;
    }
    if (this.#bytes.length < 4 + length) return undefined;
    const text = this.#bytes.toString("utf8", 4, 4 + length);
    this.#bytes = this.#bytes.subarray(4 + length);
    return requestIn(text);
  }

  #say(message: object): void {
    const text = Buffer.from(JSON.stringify(message));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    this.#transport.write([length, text]);
  }

  onEnd(): void {
    this.#hasEnded = true;
    if (!this.#isBusy) this.#transport.end();
  }

  onDrain(): void {}
  onClose(): void {}
}

/** What cannot be understood has no words. */
function requestIn(text: string): Request {
  try {
    const { id, command, args } = JSON.parse(text) as { id?: unknown; command?: unknown; args?: unknown };
    const more = Array.isArray(args) ? args.map(String) : [];
    const words = typeof command === "string" ? command.split(/\s+/).filter((word) => word !== "") : [];
    return { id, words: [...words, ...more] };
  } catch {
    return { id: null, words: [] };
  }
}

async function answer({ id, words }: Request, service: Controlled): Promise<object> {
  try {
    return { id, status: "ok", data: await obey(words, service) };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { id, status: "error", error: error.message };
  }
}
