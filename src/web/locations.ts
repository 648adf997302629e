/** Which location a path belongs to: the longest prefix. */
import type { Location } from "./pipeline.ts";

/** Finds the location of a normalised path. "/" must be among the prefixes. */
export type FindLocation = (uri: string) => Location;

/** Built once per configuration from prefix → location; a prefix that ends with a slash also matches the path without it. */
export function prefixLocations(table: readonly (readonly [prefix: string, location: Location])[]): FindLocation {
  const longestFirst = [...table].sort(([a], [b]) => b.length - a.length);
  const last = longestFirst.pop();
  if (last === undefined || last[0] !== "/") throw new Error('no location "/"');
  const [, fallback] = last;
  if (longestFirst.length === 0) return () => fallback;
  return (uri) => {
    for (const [prefix, location] of longestFirst) {
      if (uri.startsWith(prefix) || (uri.length === prefix.length - 1 && prefix.startsWith(uri))) return location;
    }
    return fallback;
  };
}
