/** Zones of the configuration: memory that the web workers share, mapped once per process, however many locations use it. */
import { ConfigError, type Place } from "../config/statement.ts";
import { parseSize } from "../config/values.ts";
import { monotonicSeconds } from "../net/libc.ts";
import type { Fields } from "../shm/record.ts";
import { minimalZoneBytes, Zone } from "../shm/zone.ts";
import type { Runtime } from "./module.ts";

/** `zone=NAME:SIZE` of a directive. Throws ConfigError. */
export function zoneParameter(word: string, at: Place): { readonly name: string; readonly sizeBytes: number } {
  const [, name, size = ""] = /^zone=([^:]*):(.*)$/s.exec(word) ?? [];
  const sizeBytes = parseSize(size);
  if (name === undefined || sizeBytes === undefined) throw new ConfigError(`invalid zone size "${word}"`, at);
  if (sizeBytes < minimalZoneBytes) throw new ConfigError(`zone "${word}" is too small`, at);
  return { name, sizeBytes };
}

const mapped = new WeakMap<Runtime, Map<string, Zone<Fields>>>();

/** What a zone is: as its module has told `Setup.zone`, and what each of its records holds. */
export interface ZoneShape<F extends Fields> {
  readonly name: string;
  readonly kind: string;
  readonly fields: F;
}

/** The zone of that name in this process. */
export function sharedZone<F extends Fields>(runtime: Runtime, { name, kind, fields }: ZoneShape<F>): Zone<F> {
  const zones = mapped.get(runtime) ?? new Map<string, Zone<Fields>>();
  mapped.set(runtime, zones);
  // A name has one shape: two would be two declarations of the zone, which are refused.
  const known = zones.get(name) as Zone<F> | undefined;
  if (known !== undefined) return known;
  const zone = new Zone(runtime.zone(name), kind, fields);
  zones.set(name, zone as unknown as Zone<Fields>);
  return zone;
}

let origin: number | undefined;

/** Whole ms of a clock that never steps and that all processes share. */
export const sharedNow = (): number => sharedTime(performance.now());

/** The same for a moment of `performance.now`. */
export function sharedTime(moment: number): number {
  origin ??= monotonicSeconds() * 1000 - performance.now();
  return Math.floor(origin + moment);
}
