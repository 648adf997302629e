/** The zone of this machine, with the short name that C programs show and JavaScript does not tell. */
import { readFileSync } from "node:fs";
import type { Zone } from "./strftime.ts";

let names: readonly [standard: string, summer: string] | undefined;

/** The zone that holds at a time (ms since 1970). */
export function localZone(at: number): Zone {
  const offsetMinutes = offsetAt(new Date(at));
  names ??= zoneNames(zoneRule());
  const year = new Date(at).getFullYear();
  const standard = Math.min(offsetAt(new Date(year, 0, 1)), offsetAt(new Date(year, 6, 1)));
  return { offsetMinutes, name: names[offsetMinutes > standard ? 1 : 0] };
}

const offsetAt = (date: Date): number => -date.getTimezoneOffset();

/** The rule at the end of the zone's file (RFC 8536 3.3): "CET-1CEST,M3.5.0,M10.5.0/3". */
function zoneRule(): string {
  const { TZ } = process.env;
  const name = TZ?.replace(/^:/, "");
  const path = name === undefined ? "/etc/localtime" : name.startsWith("/") ? name : `/usr/share/zoneinfo/${name}`;
  try {
    return readFileSync(path, "latin1").trimEnd().split("\n").at(-1) ?? "";
  } catch {
    // TZ may be such a rule itself.
    return name ?? "UTC0";
  }
}

/** The two names of a rule (POSIX.1-2017 8.3, TZ). */
export function zoneNames(rule: string): readonly [standard: string, summer: string] {
  const name = "(<[^>]+>|[A-Za-z]{3,})";
  const found = new RegExp(`^${name}[-+\\d:]*${name}?`).exec(rule);
  const plain = (text: string | undefined): string | undefined => text?.replace(/[<>]/g, "");
  const standard = plain(found?.[1]) ?? "UTC";
  return [standard, plain(found?.[2]) ?? standard];
}
