/** The log files of a process: each is opened once, however many places name it, and anew after a rotation. */
import { gzipSync } from "node:zlib";
import { failureText } from "../net/libc.ts";
import { LogFile } from "../net/log_file.ts";
import type { LogBuffering, LogWriter } from "../web/module.ts";

/** These are the process's own, whatever they are connected to: a socket cannot be opened by its path. */
const standard: Readonly<Record<string, 1 | 2>> = { "-": 2, "/dev/stdout": 1, "/dev/stderr": 2 };

/** Lines of a turn are written before it ends if they are more than this. */
const mostPerTurn = 64 * 1024;

interface OpenFile {
  readonly file: LogFile;
  /** Writes at once. */
  readonly writer: LogWriter;
  gathered: GatheredLog | undefined;
}

export class LogFiles {
  readonly #files = new Map<string, OpenFile>();

  /** The writer of a path, for latin-1 text: lines are in the file at once. Throws the system's error if it cannot be opened. */
  open(path: string): LogWriter {
    return this.#open(path).writer;
  }

  /**
   * The same for the many lines of requests: those of a turn of the loop are written together, those of several turns where
   * `buffering` says so. It holds for the path, whoever names it.
   */
  openGathered(path: string, buffering: LogBuffering | undefined): LogWriter {
    const open = this.#open(path);
    open.gathered ??= new GatheredLog(open.writer, open.file);
    if (buffering !== undefined) open.gathered.buffering = buffering;
    return open.gathered;
  }

  #open(path: string): OpenFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file = path in standard ? new LogFile("-", standard[path] ?? 2) : new LogFile(systemPath(path), 2);
    const writer: LogWriter = { write: (lines) => file.write(Buffer.from(lines, "latin1")) };
    const made: OpenFile = { file, writer, gathered: undefined };
    this.#files.set(path, made);
    return made;
  }

  /** Writes all that is gathered. */
  flush(): void {
    for (const { gathered } of this.#files.values()) gathered?.flush();
  }

  /** Opens all paths again; returns what went wrong. What has been gathered goes into the old files. */
  reopen(): string[] {
    this.flush();
    const failures: string[] = [];
    for (const [path, { file }] of this.#files) {
      try {
        file.reopen();
      } catch (error) {
        failures.push(`open() "${path}" failed (${failureText(error)})`);
      }
    }
    return failures;
  }
}

/** The runtime's paths are Unicode; those of configurations are the bytes of UTF-8, mostly. */
const systemPath = (path: string): string => Buffer.from(path, "latin1").toString();

class GatheredLog implements LogWriter {
  buffering: LogBuffering | undefined;
  readonly #writer: LogWriter;
  readonly #file: LogFile;
  #lines = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** It will be written at the end of the turn. */
  #isDue = false;

  constructor(writer: LogWriter, file: LogFile) {
    this.#writer = writer;
    this.#file = file;
  }

  write(lines: string): void {
    const { buffering } = this;
    if (buffering === undefined) {
      this.#lines += lines;
      if (this.#lines.length >= mostPerTurn) this.flush();
      else if (!this.#isDue) {
        this.#isDue = true;
        setImmediate(endTurn, this);
      }
      return;
    }
    if (this.#lines.length + lines.length > buffering.bytes) this.flush();
    const isFirst = this.#lines === "";
    this.#lines += lines;
    if (lines.length > buffering.bytes) this.flush();
    else if (isFirst && buffering.flushMs > 0) {
      this.#timer = setTimeout(() => this.flush(), buffering.flushMs);
      this.#timer.unref();
    }
  }

  endTurn(): void {
    this.#isDue = false;
    this.flush();
  }

  flush(): void {
    clearTimeout(this.#timer);
    const lines = this.#lines;
    if (lines === "") return;
    this.#lines = "";
    const level = this.buffering?.gzipLevel ?? 0;
    // Compressed files may be put behind each other (RFC 1952 2.2).
    if (level > 0) this.#file.write(gzipSync(Buffer.from(lines, "latin1"), { level }));
    else this.#writer.write(lines);
  }
}

const endTurn = (log: GatheredLog): void => log.endTurn();
