/** Dates by a format of strftime (POSIX.1-2017), as the C locale writes them. */

/** Where clocks show another time than UTC's. */
export interface Zone {
  /** What is added to UTC, minutes. */
  readonly offsetMinutes: number;
  /** "CET". */
  readonly name: string;
}

export const gmt: Zone = { offsetMinutes: 0, name: "GMT" };

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const dayMs = 86_400_000;

const pad = (value: number, width = 2, filler = "0"): string => String(value).padStart(width, filler);

/** `at`: ms since 1970. Conversions that nobody knows stay as they are. */
export function strftime(format: string, at: number, zone: Zone): string {
  // Its UTC fields are the zone's own.
  const local = new Date(at + zone.offsetMinutes * 60_000);
  return format.replace(/%[EO]?([a-zA-Z%])/g, (whole, letter: string) => {
    const made = conversions[letter]?.(local, zone, at);
    return made ?? whole;
  });
}

type Conversion = (local: Date, zone: Zone, at: number) => string;

const composed =
  (format: string): Conversion =>
  (_, zone, at) =>
    strftime(format, at, zone);

const conversions: Readonly<Record<string, Conversion>> = {
  a: (date) => (days[date.getUTCDay()] ?? "").slice(0, 3),
  A: (date) => days[date.getUTCDay()] ?? "",
  b: (date) => (months[date.getUTCMonth()] ?? "").slice(0, 3),
  B: (date) => months[date.getUTCMonth()] ?? "",
  c: composed("%a %b %e %H:%M:%S %Y"),
  C: (date) => pad(Math.floor(date.getUTCFullYear() / 100)),
  d: (date) => pad(date.getUTCDate()),
  D: composed("%m/%d/%y"),
  e: (date) => pad(date.getUTCDate(), 2, " "),
  F: composed("%Y-%m-%d"),
  g: (date) => pad(isoWeek(date).year % 100),
  G: (date) => String(isoWeek(date).year),
  h: (date) => (months[date.getUTCMonth()] ?? "").slice(0, 3),
  H: (date) => pad(date.getUTCHours()),
  I: (date) => pad(twelve(date)),
  j: (date) => pad(dayOfYear(date) + 1, 3),
  k: (date) => pad(date.getUTCHours(), 2, " "),
  l: (date) => pad(twelve(date), 2, " "),
  m: (date) => pad(date.getUTCMonth() + 1),
  M: (date) => pad(date.getUTCMinutes()),
  n: () => "\n",
  p: (date) => (date.getUTCHours() < 12 ? "AM" : "PM"),
  P: (date) => (date.getUTCHours() < 12 ? "am" : "pm"),
  r: composed("%I:%M:%S %p"),
  R: composed("%H:%M"),
  s: (_, __, at) => String(Math.floor(at / 1000)),
  S: (date) => pad(date.getUTCSeconds()),
  t: () => "\t",
  T: composed("%H:%M:%S"),
  u: (date) => String(date.getUTCDay() || 7),
  U: (date) => pad(Math.floor((dayOfYear(date) + 7 - date.getUTCDay()) / 7)),
  V: (date) => pad(isoWeek(date).week),
  w: (date) => String(date.getUTCDay()),
  W: (date) => pad(Math.floor((dayOfYear(date) + 7 - ((date.getUTCDay() + 6) % 7)) / 7)),
  x: composed("%m/%d/%y"),
  X: composed("%H:%M:%S"),
  y: (date) => pad(date.getUTCFullYear() % 100),
  Y: (date) => String(date.getUTCFullYear()),
  z: (_, { offsetMinutes }) => zoneOffset(offsetMinutes),
  Z: (_, { name }) => name,
  "%": () => "%",
};

const twelve = (date: Date): number => date.getUTCHours() % 12 || 12;

const dayOfYear = (date: Date): number => Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / dayMs);

/** "+0100" */
export function zoneOffset(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${pad(Math.floor(size / 60))}${pad(size % 60)}`;
}

/** ISO 8601: a week belongs to the year of its Thursday. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(date.getTime() + (4 - (date.getUTCDay() || 7)) * dayMs);
  return { year: thursday.getUTCFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}
