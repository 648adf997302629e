/** Flow control (RFC 9113 5.2, 6.9): how much each side may still send. */

/** RFC 9113 6.9.2: what holds when nobody says another. */
export const defaultWindow = 65535;
export const maxWindow = 0x7fffffff;

/** What we may send: opened by the peer. */
export class SendWindow {
  /** Below 0 after a change of SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 6.9.2). */
  left: number;

  constructor(size: number) {
    this.left = size;
  }

  /** False: it would be larger than a window can be (RFC 9113 6.9.1). */
  open(by: number): boolean {
    this.left += by;
    return this.left <= maxWindow;
  }
}

/**
 * What the peer may send: opened by us as far as what has come is no longer held here, and not for every byte, since each frame
 * costs both sides something.
 */
export class ReceiveWindow {
  /** What the peer may still send. */
  left: number;
  /** What it shall be. */
  #size: number;

  constructor(size: number) {
    this.left = size;
    this.#size = size;
  }

  /** Bytes have come; false: more than was allowed (RFC 9113 6.9.1). */
  take(count: number): boolean {
    this.left -= count;
    return this.left >= 0;
  }

  grow(size: number): void {
    if (size > this.#size) this.#size = size;
  }

  /** How much the window is to be opened now, for a WINDOW_UPDATE; 0: not yet. `held`: bytes that still lie here. */
  due(held: number): number {
    const missing = this.#size - held - this.left;
    if (missing <= 0 || missing * 2 < this.#size) return 0;
    this.left += missing;
    return missing;
  }
}
