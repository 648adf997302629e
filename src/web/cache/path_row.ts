/** proxy_cache_path: where responses are kept, and how many of them. */
import { ConfigError, type Place } from "../../config/statement.ts";
import { parseOffset, parseSize, parseTime } from "../../config/values.ts";
import { context, type Directive } from "../directive.ts";

/** A cache of the configuration. */
export interface CachePath {
  /** Of its zone. */
  readonly name: string;
  /** What its zone is. */
  readonly kind: string;
  /** Absolute. */
  readonly path: string;
  /** How many digits of a file's name each directory has. */
  readonly levels: readonly number[];
  /** An entry that nobody asks for goes after this, ms. */
  readonly inactiveMs: number;
  /** Bytes; undefined: no bound. */
  readonly maxBytes: number | undefined;
  /** Bytes that stay free on the disk. */
  readonly minFreeBytes: number;
  readonly loader: Pace;
  readonly manager: Pace;
  readonly purger: Pace;
  /** Where the configuration says so. */
  readonly at: Place;
}

/** How much is done in one go, how long that may take, and how long the pause is. */
export interface Pace {
  readonly files: number;
  readonly sleepMs: number;
  readonly thresholdMs: number;
}

type Values = Record<string, number>;

const paceOf = (values: Values, who: string): Pace => ({
  files: Math.max(1, values[`${who}_files`] ?? (who === "purger" ? 10 : 100)),
  sleepMs: values[`${who}_sleep`] ?? 50,
  thresholdMs: values[`${who}_threshold`] ?? (who === "purger" ? 50 : 200),
});

const syntax =
  "path [levels=levels] [use_temp_path=on|off] keys_zone=name:size [inactive=time] [max_size=size] [min_free=size] [manager_files=number] [manager_sleep=time] [manager_threshold=time] [loader_files=number] [loader_sleep=time] [loader_threshold=time] [purger=on|off] [purger_files=number] [purger_sleep=time] [purger_threshold=time]";

export const cachePathRow: Directive<readonly CachePath[]> = {
  summary: "A directory for responses, and the zone of shared memory that tells what is in it.",
  syntax,
  contexts: context.http,
  args: [2, Number.POSITIVE_INFINITY],
  initial: [],
  deviation:
    "what is being filled lies in the directory `.filling` of the cache, whatever use_temp_path says; entries that a wildcard purges are removed at once, with or without purger",
  parse({ name: directive, args, at }, before = [], { setup }) {
    const [given = "", ...words] = args;
    const path = setup.path(given.length > 1 && given.endsWith("/") ? given.slice(0, -1) : given);
    let levels: readonly number[] = [];
    let zone: { readonly name: string; readonly sizeBytes: number } | undefined;
    const values: Values = {};
    for (const word of words) {
      const equals = word.indexOf("=");
      const key = word.slice(0, equals);
      const value = word.slice(equals + 1);
      if (equals < 0) throw new ConfigError(`invalid parameter "${word}"`, at);
      if (key === "levels") levels = parseLevels(word, value, at);
      else if (key === "keys_zone") zone = parseZone(word, value, at);
      else if (key === "use_temp_path" || key === "purger") checkSwitch(key, word, value, at);
      else values[key] = parseValue(key, word, value, at);
    }
    if (zone === undefined) throw new ConfigError(`"${directive}" must have "keys_zone" parameter`, at);
    if (before.some((each) => each.name === zone.name)) throw new ConfigError(`duplicate zone "${zone.name}"`, at);
    const kind = `cache ${path}`;
    setup.zone({ ...zone, kind }, at);
    const made: CachePath = {
      name: zone.name,
      kind,
      path,
      levels,
      inactiveMs: (values.inactive ?? 600) * 1000,
      maxBytes: values.max_size,
      minFreeBytes: values.min_free ?? 0,
      loader: paceOf(values, "loader"),
      manager: paceOf(values, "manager"),
      purger: paceOf(values, "purger"),
      at,
    };
    return [...before, made];
  },
};

function parseLevels(word: string, value: string, at: Place): readonly number[] {
  if (!/^[12](:[12]){0,2}$/.test(value)) throw new ConfigError(`invalid "levels" "${word}"`, at);
  return value.split(":").map(Number);
}

/** Nginx takes two pages; a record takes somewhat more room here. */
const leastBytes = 2 * 4096;

function parseZone(word: string, value: string, at: Place): { readonly name: string; readonly sizeBytes: number } {
  const colon = value.indexOf(":");
  const sizeBytes = colon < 0 ? undefined : parseSize(value.slice(colon + 1));
  if (sizeBytes === undefined) throw new ConfigError(`invalid keys zone size "${word}"`, at);
  const name = value.slice(0, colon);
  if (sizeBytes < leastBytes) throw new ConfigError(`keys zone "${name}" is too small`, at);
  return { name, sizeBytes };
}

function checkSwitch(key: string, word: string, value: string, at: Place): void {
  if (value !== "on" && value !== "off")
    throw new ConfigError(`invalid ${key} value "${word}", it must be "on" or "off"`, at);
}

function parseValue(key: string, word: string, value: string, at: Place): number {
  const parsed = readValue(key, value);
  if (parsed === "unknown") throw new ConfigError(`invalid parameter "${word}"`, at);
  if (parsed === undefined) throw new ConfigError(`invalid ${key} value "${word}"`, at);
  return parsed;
}

function readValue(key: string, value: string): number | "unknown" | undefined {
  if (key === "inactive") return parseTime(value, "s");
  if (key === "max_size" || key === "min_free") return parseOffset(value);
  if (/^(loader|manager|purger)_files$/.test(key)) return /^\d{1,9}$/.test(value) ? Number(value) : undefined;
  return /^(loader|manager|purger)_(sleep|threshold)$/.test(key) ? parseTime(value, "ms") : "unknown";
}
