/** Frames about the connection as a whole, and about windows: they mean the same on both of its sides (RFC 9113 6.5, 6.7, 6.9). */
import { broken, type ConnectionError, code, connectionError, type ErrorCode } from "./errors.ts";
import { flag, frame, read31 } from "./frames.ts";
import type { Guard } from "./guard.ts";
import { type PeerName, type Span, tooSmall } from "./reader.ts";
import type { Sender } from "./sender.ts";
import type { PeerSettings } from "./settings.ts";
import type { H2Stream, Streams } from "./stream.ts";

/** What the frames' meanings change, beside streams. */
export interface ConnectionParts {
  readonly streams: Streams;
  readonly sender: Sender;
  readonly peer: PeerSettings;
  readonly guard: Guard;
}

/** A rule was broken so that one stream has to end (RFC 9113 5.4.2). */
export interface StreamError {
  readonly stream: H2Stream;
  readonly code: ErrorCode;
  readonly rule: string;
  readonly detail: string;
}

export class Control {
  /** Our SETTINGS hold. */
  acknowledged = false;
  /** Called for a PING's answer. */
  onPong: (() => void) | undefined = undefined;
  readonly #parts: ConnectionParts;
  readonly #who: PeerName;
  readonly #insists: boolean;
  /** Some settings have come, as they must at the very beginning. */
  #hasSettings = false;

  /** `insists`: settings have to come first. */
  constructor(parts: ConnectionParts, who: PeerName, insists: boolean) {
    this.#parts = parts;
    this.#who = who;
    this.#insists = insists;
  }

  /** RFC 9113 3.4: what is wrong with any frame but SETTINGS at this moment. */
  tooEarly(): ConnectionError | undefined {
    return this.#hasSettings || !this.#insists
      ? undefined
      : broken("RFC 9113 3.4", `${this.#who} sent no SETTINGS frame first`);
  }

  /** RFC 9113 6.5 */
  settings(id: number, flags: number, { bytes, from, to }: Span): ConnectionError | undefined {
    const { sender, peer, guard } = this.#parts;
    const size = to - from;
    if (id !== 0) return broken("RFC 9113 6.5", `${this.#who} sent SETTINGS frame with incorrect identifier`);
    if ((flags & flag.ack) !== 0) {
      if (size !== 0) return tooSmall("SETTINGS", this.#who);
      this.acknowledged = true;
      return this.tooEarly() ?? guard.control("SETTINGS");
    }
    if (size % 6 !== 0) return tooSmall("SETTINGS", this.#who);
    this.#hasSettings = true;
    const before = peer.initialWindowSize;
    const error = peer.apply(bytes, from, to) ?? this.#adjustWindows(peer.initialWindowSize - before);
    if (error !== undefined) return error;
    sender.applySettings();
    sender.control(frame.settings, flag.ack, 0, nothing);
    return guard.control("SETTINGS", 1 + size / 60);
  }

  /** RFC 9113 6.9.2 */
  #adjustWindows(by: number): ConnectionError | undefined {
    if (by === 0) return undefined;
    for (const { sendWindow } of this.#parts.streams.open.values())
      if (!sendWindow.open(by))
        return connectionError(
          code.flowControlError,
          "RFC 9113 6.9.2",
          "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large",
        );
    return undefined;
  }

  /** RFC 9113 6.7 */
  ping(id: number, flags: number, { bytes, from, to }: Span): ConnectionError | undefined {
    const { sender, guard } = this.#parts;
    if (to - from !== 8) return tooSmall("PING", this.#who);
    if (id !== 0) return broken("RFC 9113 6.7", `${this.#who} sent PING frame with incorrect identifier`);
    if ((flags & flag.ack) === 0) sender.control(frame.ping, flag.ack, 0, bytes.subarray(from, to));
    else this.onPong?.();
    return guard.control("PING");
  }

  /** RFC 9113 6.9 */
  windowUpdate(id: number, { bytes, from, to }: Span): ConnectionError | StreamError | undefined {
    const { streams, sender, guard } = this.#parts;
    if (to - from !== 4) return tooSmall("WINDOW_UPDATE", this.#who);
    const by = read31(bytes, from);
    const nothingMore = "sent WINDOW_UPDATE frame with incorrect window increment 0";
    if (id === 0) {
      if (by === 0) return broken("RFC 9113 6.9", `${this.#who} ${nothingMore}`);
      if (!sender.window.open(by))
        return connectionError(
          code.flowControlError,
          "RFC 9113 6.9.1",
          `${this.#who} violated connection flow control`,
        );
      return guard.control("WINDOW_UPDATE");
    }
    const stream = streams.open.get(id);
    if (stream === undefined)
      return streams.isIdle(id)
        ? broken("RFC 9113 5.1", `${this.#who} sent WINDOW_UPDATE frame for an idle stream`)
        : guard.control("WINDOW_UPDATE");
    if (by === 0)
      return { stream, code: code.protocolError, rule: "RFC 9113 6.9", detail: `${this.#who} ${nothingMore}` };
    if (!stream.sendWindow.open(by)) {
      const detail = `${this.#who} violated flow control`;
      return { stream, code: code.flowControlError, rule: "RFC 9113 6.9.1", detail };
    }
    return guard.control("WINDOW_UPDATE");
  }
}

const nothing = new Uint8Array(0);
