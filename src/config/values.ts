/** Single values as Nginx writes them. undefined: it is none; what to say then is the directive's matter. */

// What Nginx counts with: signed 64-bit numbers. Beyond 2^53 the results are rounded, which no size or time notices.
const largest = 9_223_372_036_854_775_807n;

/** Digits alone, not negative. */
export function parseNumber(text: string): number | undefined {
  return scaled(text, 1n);
}

const kilo = 1024n;
const sizeUnits: Record<string, bigint> = { k: kilo, m: kilo ** 2n };
const offsetUnits: Record<string, bigint> = { ...sizeUnits, g: kilo ** 3n };

/** A size of something in memory, in bytes: digits, then `k` or `m` of either case for 1024 and 1024². */
export function parseSize(text: string): number | undefined {
  return withUnit(text, sizeUnits);
}

/** A size of something in a file, in bytes: as parseSize, and `g` for 1024³. */
export function parseOffset(text: string): number | undefined {
  return withUnit(text, offsetUnits);
}

function withUnit(text: string, units: Record<string, bigint>): number | undefined {
  const scale = units[text.slice(-1).toLowerCase()];
  return scale === undefined ? scaled(text, 1n) : scaled(text.slice(0, -1), scale);
}

function scaled(digits: string, scale: bigint): number | undefined {
  if (!/^\d+$/.test(digits)) return undefined;
  const value = BigInt(digits) * scale;
  return value > largest ? undefined : Number(value);
}

const minute = 60_000n;
const hour = 60n * minute;
const day = 24n * hour;
/** From the longest to the shortest, in milliseconds: each may follow only a longer one. A month has 30 days, a year 365. */
const timeUnits: readonly [string, bigint][] = [
  ["y", 365n * day],
  ["M", 30n * day],
  ["w", 7n * day],
  ["d", day],
  ["h", hour],
  ["m", minute],
  ["s", 1000n],
  ["ms", 1n],
];

/**
 * A time such as `1h 30m`, `1d12h` or `90`: numbers with units, longest first, the last one without: seconds. `unit` is what
 * the directive counts in, and the result too: "ms" knows no months and years, "s" no milliseconds.
 */
export function parseTime(text: string, unit: "ms" | "s"): number | undefined {
  const isExact = unit === "ms";
  let total = 0n;
  let step = isExact ? 1 : -1;
  let hasDigits = false;
  let at = 0;
  while (at < text.length) {
    const [, digits = "", name = ""] = /^(\d*)(ms|[yMwdhms ]|$)/.exec(text.slice(at)) ?? [];
    if (digits !== "") hasDigits = true;
    if (digits === "" && name === "") return undefined;
    at += digits.length + name.length;
    let scale = 1000n;
    if (name !== "") {
      // A space behind a number without a unit: seconds, and nothing may follow but another such number.
      const index = name === " " ? timeUnits.length : timeUnits.findIndex(([each]) => each === name);
      if (name === " " ? step >= 6 : index <= step || (name === "ms" && !isExact)) return undefined;
      step = index;
      scale = timeUnits[index]?.[1] ?? 1000n;
      while (text[at] === " ") at++;
    }
    total += BigInt(digits === "" ? 0 : digits) * scale;
  }
  if (!hasDigits) return undefined;
  const result = isExact ? total : total / 1000n;
  return result > largest ? undefined : Number(result);
}
