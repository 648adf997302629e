/** HTTP dates (RFC 9110 5.6.7): always written as IMF-fixdate, read in all three forms that ever existed. */

const dayNames = "Mon|Tue|Wed|Thu|Fri|Sat|Sun";
const longDayNames = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday";
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const monthNames = months.join("|");
const time = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;

const forms = [
  // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
  new RegExp(`^(?:${dayNames}), (?<day>\\d\\d) (?<month>${monthNames}) (?<year>\\d{4}) ${time} GMT$`),
  // RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
  new RegExp(`^(?:${longDayNames}), (?<day>\\d\\d)-(?<month>${monthNames})-(?<year>\\d\\d) ${time} GMT$`),
  // asctime: Sun Nov  6 08:49:37 1994
  new RegExp(`^(?:${dayNames}) (?<month>${monthNames}) (?<day>[ \\d]\\d) ${time} (?<year>\\d{4})$`),
];

// The form has four digits for the year.
const earliest = -62_167_219_200; // 0000-01-01
const latest = 253_402_300_799; // 9999-12-31

/** Seconds since 1970 as IMF-fixdate; whole seconds, those outside the years 0 to 9999 are brought to the nearest. */
export function formatHttpDate(seconds: number): string {
  // ECMA-262 21.4.4.43 defines toUTCString as exactly this form.
  return new Date(Math.min(Math.max(Math.floor(seconds), earliest), latest) * 1000).toUTCString();
}

/** Seconds since 1970; undefined if `text` is none of the three forms or no date of the calendar. `now`: seconds since 1970. */
export function parseHttpDate(text: string, now: number = Date.now() / 1000): number | undefined {
  for (const form of forms) {
    const fields = form.exec(text)?.groups;
    if (fields !== undefined) return toSeconds(fields, now);
  }
  return undefined;
}

function toSeconds(fields: Record<string, string | undefined>, now: number): number | undefined {
  const { year = "", month = "", day = "", hour = "", minute = "", second = "" } = fields;
  // A second of 60 is a leap second: the first of the next minute.
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(
    year.length === 2 ? fullYear(Number(year), now) : Number(year),
    months.indexOf(month),
    Number(day),
  );
  // 31 February has become a day of March.
  if (date.getUTCDate() !== Number(day)) return undefined;
  return date.getTime() / 1000 + Number(hour) * 3600 + Number(minute) * 60 + Number(second);
}

// RFC 9110 5.6.7: what appears to be more than 50 years in the future is the last year in the past with these two digits.
function fullYear(twoDigits: number, now: number): number {
  const thisYear = new Date(now * 1000).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}

let currentSecond = 0;
let currentText = "";

/** The current second as IMF-fixdate. Made once a second; a call costs a look at the clock. */
export function httpDateNow(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== currentSecond) {
    currentSecond = second;
    currentText = formatHttpDate(second);
  }
  return currentText;
}
