/** SETTINGS (RFC 9113 6.5): what we ask of the peer, and what it asks of us. */
import { type ConnectionError, code, connectionError } from "./errors.ts";
import { defaultFrameSize, read32, write32 } from "./frames.ts";
import { defaultWindow, maxWindow } from "./window.ts";

export const setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  /** RFC 8441 3 */
  enableConnectProtocol: 8,
  /** RFC 9218 2.1 */
  noRfc7540Priorities: 9,
} as const;

const entryLength = 6;

/** What the peer has asked for. */
export class PeerSettings {
  headerTableSize = 4096;
  initialWindowSize = defaultWindow;
  maxFrameSize = defaultFrameSize;
  /** Streams that we may open. */
  maxStreams = Number.POSITIVE_INFINITY;
  readonly #mayAskForPush: boolean;

  /** `fromServer`: whose they are; a client's may ask for pushes. */
  constructor(fromServer = false) {
    this.#mayAskForPush = !fromServer;
  }

  /** Takes over what `bytes[from, to)` says; the length is a multiple of six. RFC 9113 6.5.2 */
  apply(bytes: Uint8Array, from: number, to: number): ConnectionError | undefined {
    for (let at = from; at < to; at += entryLength) {
      const value = read32(bytes, at + 2);
      const error = this.#set((bytes[at]! << 8) | bytes[at + 1]!, value);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  #set(name: number, value: number): ConnectionError | undefined {
    switch (name) {
      case setting.headerTableSize:
        this.headerTableSize = value;
        return undefined;
      case setting.enablePush:
        // We never push, whatever it says; a server that wants us to is none.
        return value > (this.#mayAskForPush ? 1 : 0)
          ? bad(code.protocolError, `SETTINGS_ENABLE_PUSH ${value}`)
          : undefined;
      case setting.maxConcurrentStreams:
        this.maxStreams = value;
        return undefined;
      case setting.initialWindowSize:
        if (value > maxWindow) return bad(code.flowControlError, `SETTINGS_INITIAL_WINDOW_SIZE ${value}`);
        this.initialWindowSize = value;
        return undefined;
      case setting.maxFrameSize:
        if (value < defaultFrameSize || value > 0xffffff)
          return bad(code.protocolError, `SETTINGS_MAX_FRAME_SIZE ${value}`);
        this.maxFrameSize = value;
        return undefined;
      case setting.enableConnectProtocol:
        return value > 1 ? bad(code.protocolError, `SETTINGS_ENABLE_CONNECT_PROTOCOL ${value}`) : undefined;
      default:
        // RFC 9113 6.5.2: unknown ones are ignored.
        return undefined;
    }
  }
}

const bad = (number: ConnectionError["code"], detail: string): ConnectionError =>
  connectionError(number, "RFC 9113 6.5.2", detail);

/** The payload of a SETTINGS frame. */
export function settingsPayload(entries: readonly (readonly [name: number, value: number])[]): Uint8Array {
  const payload = new Uint8Array(entries.length * entryLength);
  entries.forEach(([name, value], i) => {
    payload[i * entryLength + 1] = name;
    write32(payload, i * entryLength + 2, value);
  });
  return payload;
}
