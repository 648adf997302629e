/** The current time in the local zone, in the forms that logs have. Each is made once a second: a call costs a look at the clock. */

const two = (n: number): string => String(n).padStart(2, "0");
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "+0100" or "+01:00": the local zone's distance from UTC. */
function zoneOf(now: Date, separator: string): string {
  const minutes = -now.getTimezoneOffset();
  const distance = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(distance / 60))}${separator}${two(distance % 60)}`;
}

const clock = (now: Date): string => `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;

/** `2026-11-24T09:22:34+00:00` */
export const isoTime = (now: Date): string =>
  `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}T${clock(now)}${zoneOf(now, ":")}`;

/** `24/Nov/2026:09:22:34 +0000` */
export const logTime = (now: Date): string =>
  `${two(now.getDate())}/${months[now.getMonth()]}/${now.getFullYear()}:${clock(now)} ${zoneOf(now, "")}`;

/** The same text for a whole second. */
function eachSecond(form: (now: Date) => string): () => string {
  let second = -1;
  let text = "";
  return () => {
    const now = Date.now();
    const current = Math.floor(now / 1000);
    if (current !== second) {
      second = current;
      text = form(new Date(now));
    }
    return text;
  };
}

export const isoTimeNow = eachSecond(isoTime);
export const logTimeNow = eachSecond(logTime);

/** ms as seconds with three digits: `0.042`. Rounded down; what is negative is 0. */
export function secondsText(ms: number): string {
  if (!(ms > 0)) return "0.000";
  const seconds = Math.floor(ms / 1000);
  const rest = Math.floor(ms - seconds * 1000);
  if (rest > 99) return `${seconds}.${rest}`;
  return rest > 9 ? `${seconds}.0${rest}` : `${seconds}.00${rest}`;
}
