/**
 * The leaky bucket of `limit_req`. All whole numbers, so that answers change at the very millisecond at which Nginx's do:
 * requests in thousandths of one, rates in thousandths of a request per second, times in ms of a clock that all processes share.
 */

/** How full a key's bucket is. */
export interface Bucket {
  /** Thousandths of a request above the rate. */
  readonly excess: number;
  /** When that was so, ms. */
  readonly last: number;
}

/** One request. */
export const oneRequest = 1000;

/** Of `rate=10r/s` or `rate=30r/m`. */
export function bucketRate(requests: number, per: "second" | "minute"): number {
  return Math.floor((requests * 1000) / (per === "minute" ? 60 : 1));
}

/** A key's first request: it fills nothing. */
export const firstRequest = (now: number): Bucket => ({ excess: 0, last: now });

/** The excess with one more request. More than `burst`: the request is refused and does not count. */
export function excessWithOneMore({ excess, last }: Bucket, rate: number, now: number): number {
  return Math.max(0, excess - leaked(rate, elapsed(last, now)) + oneRequest);
}

/** The bucket after a request that was let in. */
export function withOneMore(bucket: Bucket, rate: number, now: number): Bucket {
  // Within one ms nothing leaks and time stands still; nor does a clock that is a little behind turn it back.
  const last = elapsed(bucket.last, now) === 0 ? bucket.last : now;
  return { excess: excessWithOneMore(bucket, rate, now), last };
}

/** How long a request waits that leaves this excess, ms; `delay`: the excess that need not wait (`nodelay`: Infinity). */
export function delayMs(excess: number, delay: number, rate: number): number {
  return excess <= delay ? 0 : Math.floor(((excess - delay) * 1000) / rate);
}

/** A record that says no more than its absence would: for a minute nobody came, and the bucket is empty. */
export function isIdle({ excess, last }: Bucket, rate: number, now: number): boolean {
  const away = Math.abs(now - last);
  return away >= 60_000 && excess - leaked(rate, away) <= 0;
}

/** A request that several limits have let in, as one of them sees it. */
export interface LetIn {
  readonly excess: number;
  /** As for `delayMs`. */
  readonly delay: number;
  readonly rate: number;
}

/** The longest delay of several limits, and which limit asks for it: of equal ones the last, as it is the first to be asked. 0: none. */
export function longestDelay(limits: readonly LetIn[]): { delayMs: number; limit: number } {
  let limit = limits.length - 1;
  let longest = 0;
  for (let i = limits.length - 1; i >= 0; i--) {
    const { excess, delay, rate } = limits[i] ?? { excess: 0, delay: 0, rate: 1 };
    const ms = delayMs(excess, delay, rate);
    if (ms <= longest) continue;
    longest = ms;
    limit = i;
  }
  return { delayMs: longest, limit };
}

const leaked = (rate: number, ms: number): number => Math.floor((rate * ms) / 1000);

/** ms since then. Clocks of processes may differ a little: not less than 0. More than a minute into the past: another clock, begin anew. */
function elapsed(last: number, now: number): number {
  const ms = now - last;
  if (ms < -60_000) return 1;
  return Math.max(0, ms);
}
