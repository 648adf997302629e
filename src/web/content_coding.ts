/** Which content coding a client prefers (RFC 9110 12.5.3). */

/** The codings in which files may lie ready beside their original; where the client has no preference, the first wins: it is the smallest. */
export const codings = ["br", "zstd", "gzip"] as const;
export type Coding = (typeof codings)[number];

const none: readonly Coding[] = [];

// Browsers send a handful of values over and over. Bounded: the values come from clients.
const maxRemembered = 256;
const remembered = new Map<string, readonly Coding[]>();

/** The codings that the client accepts, and not less than the original, best first. `accept`: the value of Accept-Encoding. */
export function acceptedCodings(accept: string | undefined): readonly Coding[] {
  // RFC 9110 12.5.3: without the field any coding is acceptable; but who does not ask for one is often a program that cannot undo it.
  if (accept === undefined) return none;
  const known = remembered.get(accept);
  if (known !== undefined) return known;
  const found = rank(accept);
  if (remembered.size < maxRemembered) remembered.set(accept, found);
  return found;
}

function rank(accept: string): readonly Coding[] {
  const weights = parseWeights(accept);
  const weightOf = (coding: Coding): number => weights.get(coding) ?? weights.get("*") ?? 0;
  const least = Math.max(weights.get("identity") ?? 0, 0.001);
  return codings.filter((coding) => weightOf(coding) >= least).sort((a, b) => weightOf(b) - weightOf(a));
}

// RFC 9110 12.4.2
const weight = /^(.*?)[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i;

function parseWeights(accept: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const element of accept.split(",")) {
    const trimmed = element.trim().toLowerCase();
    const [, name = trimmed, q = "1"] = weight.exec(trimmed) ?? [];
    // RFC 9110 8.4.1.3: x-gzip is gzip.
    if (name !== "") weights.set(name === "x-gzip" ? "gzip" : name, Number(q));
  }
  return weights;
}
