/** The life of a stream (RFC 9113 5.1), and what is known about one. */
import type { Headers } from "../headers.ts";
import { defaultPriority, type Priority } from "./priority.ts";
import { ReceiveWindow, SendWindow } from "./window.ts";

/**
 * "idle" and "reserved" have no object: a stream is made by its HEADERS, and we never push. Closed streams are forgotten, except
 * for what `Streams` remembers of those that we have reset.
 */
export type State = "open" | "half-closed (remote)" | "half-closed (local)" | "closed";
export type Transition = "received END_STREAM" | "sent END_STREAM" | "reset";

/** RFC 9113 5.1, figure 2, from the server's side. */
export const transitions: Readonly<Record<State, Readonly<Record<Transition, State>>>> = {
  open: {
    "received END_STREAM": "half-closed (remote)",
    "sent END_STREAM": "half-closed (local)",
    reset: "closed",
  },
  "half-closed (remote)": {
    "received END_STREAM": "half-closed (remote)",
    "sent END_STREAM": "closed",
    reset: "closed",
  },
  "half-closed (local)": {
    "received END_STREAM": "closed",
    "sent END_STREAM": "half-closed (local)",
    reset: "closed",
  },
  closed: { "received END_STREAM": "closed", "sent END_STREAM": "closed", reset: "closed" },
};

export class H2Stream {
  readonly id: number;
  state: State = "open";
  // Receiving.
  readonly receiveWindow: ReceiveWindow;
  /** Somebody reads the body. */
  wanted = false;
  /** … but not now. */
  paused = false;
  /** Bytes of the body that came while nobody took them. */
  held = 0;
  received = 0;
  /** What Content-Length says; -1: nothing. */
  expected = -1;
  /** RFC 9113 8.1.1: a response may be sent, a reset follows. */
  malformed = false;
  isHead = false;
  // Sending.
  readonly sendWindow: SendWindow;
  phase: "due" | "body" | "ended" = "due";
  /** What waits for a window: the piece, how much of it has left, and whether the body ends with it. */
  queue: Uint8Array | undefined = undefined;
  queueAt = 0;
  queueEnd = false;
  /** It is in the sender's list. */
  isWaiting = false;
  trailers: Headers | undefined = undefined;
  /** Bytes of the body that Content-Length announces and that are still to come; -1: nobody has said. */
  promised = -1;
  fault: string | undefined = undefined;
  /** Most bytes of a DATA frame; 0: nobody has said. */
  chunkSize = 0;
  /** Bytes of its frames so far. */
  sent = 0;
  priority: Priority = defaultPriority;
  /** The turn in which it sent last, for those that take turns. */
  turn = 0;

  constructor(id: number, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.sendWindow = new SendWindow(sendWindow);
    this.receiveWindow = new ReceiveWindow(receiveWindow);
  }

  move(transition: Transition): void {
    this.state = transitions[this.state][transition];
  }

  get receives(): boolean {
    return this.state === "open" || this.state === "half-closed (local)";
  }
}

/** Frames that were on their way when we reset a stream are no fault of the peer's: this many such streams are remembered. */
const maxRemembered = 256;

/** All streams of a connection that are not closed. */
export class Streams {
  readonly open = new Map<number, H2Stream>();
  /** The highest id that the peer has used. */
  last = 0;
  readonly #reset = new Set<number>();

  /** RFC 9113 5.1.1: used or skipped, it is not idle any more. */
  isIdle(id: number): boolean {
    return id > this.last || (id & 1) === 0;
  }

  close(stream: H2Stream): void {
    stream.state = "closed";
    stream.queue = undefined;
    this.open.delete(stream.id);
  }

  closeReset(stream: H2Stream): void {
    this.close(stream);
    this.remember(stream.id);
  }

  remember(id: number): void {
    if (this.#reset.size >= maxRemembered)
      for (const oldest of this.#reset) {
        this.#reset.delete(oldest);
        break;
      }
    this.#reset.add(id);
  }

  wasReset(id: number): boolean {
    return this.#reset.has(id);
  }
}
