/**
 * Work that a peer makes us do without asking for anything: each kind has a budget, which honest work fills up again.
 *
 * No clock: a peer that floods has spent its budget within milliseconds, one that merely is eager earns more than it spends.
 */
import { type ConnectionError, code, connectionError } from "./errors.ts";

/** PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown frames: CVE-2019-9512, 9513, 9515, 9518. */
const controlBudget = 2000;
/** Requests that are given up before they are answered, by the client or by its breaking a rule: CVE-2023-44487, CVE-2025-8671. */
const resetBudget = 400;

const controlPerRequest = 10;
const bytesPerControl = 2048;

export class Guard {
  #control = controlBudget;
  #resets = resetBudget;

  /** A frame that asks for nothing. */
  control(what: string, cost = 1): ConnectionError | undefined {
    this.#control -= cost;
    return this.#control < 0 ? flood(`too many ${what} frames`) : undefined;
  }

  /** A stream was reset that had no answer yet. */
  reset(): ConnectionError | undefined {
    this.#resets--;
    return this.#resets < 0 ? flood("too many requests were given up") : undefined;
  }

  request(): void {
    this.#control = Math.min(this.#control + controlPerRequest, controlBudget);
  }

  answered(): void {
    if (this.#resets < resetBudget) this.#resets++;
  }

  /** Bytes of bodies, in either direction. */
  moved(bytes: number): void {
    this.#control = Math.min(this.#control + bytes / bytesPerControl, controlBudget);
  }

  /** Time has passed, some ten seconds: what is rare over hours is no flood. */
  forgive(): void {
    this.#control = Math.min(this.#control + controlBudget / 8, controlBudget);
    this.#resets = Math.min(this.#resets + resetBudget / 8, resetBudget);
  }
}

export const flood = (detail: string): ConnectionError =>
  connectionError(code.enhanceYourCalm, "RFC 9113 10.5", `http2 flood detected: ${detail}`);
