/** Lists of a directory, as `autoindex` shows them. Names are latin-1 text of their bytes, and so are the lists. */
import { formatHttpDate } from "../base/date.ts";

export interface Entry {
  readonly name: string;
  readonly kind: "directory" | "file" | "other";
  /** Bytes. */
  readonly size: number;
  /** When it was last changed: s since 1970. */
  readonly seconds: number;
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const markupText = (text: string): string => text.replace(/[&<>"]/g, (char) => escapes[char] ?? char);

/** A name as a part of a relative link: a colon would make it a scheme, a slash a path. */
const linkText = (name: string): string =>
  name.replace(/[^A-Za-z0-9\-._~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);

/** Longer names are cut, so that the columns stay where they are. */
const nameWidth = 50;
const cut = nameWidth - 3;

/** A name as it is shown; one that is UTF-8 is cut between characters. */
function shown(name: string): string {
  if (name.length <= nameWidth) return markupText(name);
  const text = Buffer.from(name, "latin1").toString("utf8");
  if (text.includes("\ufffd")) return `${markupText(name.slice(0, cut))}..&gt;`;
  const characters = [...text];
  if (characters.length <= nameWidth) return markupText(name);
  return `${markupText(Buffer.from(characters.slice(0, cut).join("")).toString("latin1"))}..&gt;`;
}

export interface PageOptions {
  readonly localTime: boolean;
  readonly exactSize: boolean;
}

/** A page with the entries' names as links, their times and sizes. `uri`: of the directory. */
export function entriesHtml(uri: string, entries: readonly Entry[], options: PageOptions): string {
  const title = `Index of ${markupText(uri)}`;
  const rows = entries.map((entry) => {
    const slash = entry.kind === "directory" ? "/" : "";
    const size = entry.kind === "directory" ? "-" : options.exactSize ? String(entry.size) : rounded(entry.size);
    return (
      `<tr><td><a href="${linkText(entry.name)}${slash}">${shown(entry.name)}${slash}</a></td>` +
      `<td>${dateText(entry.seconds, options.localTime)}</td><td>${size}</td></tr>\n`
    );
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif }
table { font-family: ui-monospace, monospace; border-spacing: 0 }
td { padding: .1em 2em .1em 0; white-space: nowrap }
td:last-child { padding-right: 0; text-align: right }
</style>
</head>
<body>
<h1>${title}</h1>
<table>
<tr><td><a href="../">../</a></td><td></td><td></td></tr>
${rows.join("")}</table>
</body>
</html>
`;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (n: number): string => String(n).padStart(2, "0");

/** `28-Sep-1970 12:00` */
function dateText(seconds: number, local: boolean): string {
  const date = new Date(seconds * 1000);
  const at = local
    ? [date.getDate(), date.getMonth(), date.getFullYear(), date.getHours(), date.getMinutes()]
    : [date.getUTCDate(), date.getUTCMonth(), date.getUTCFullYear(), date.getUTCHours(), date.getUTCMinutes()];
  const [day = 0, month = 0, year = 0, hour = 0, minute = 0] = at;
  return `${two(day)}-${months[month]}-${year} ${two(hour)}:${two(minute)}`;
}

/** Four digits at most, with K, M or G behind them. */
function rounded(bytes: number): string {
  if (bytes >= 2 ** 30) return `${Math.round(bytes / 2 ** 30)}G`;
  if (bytes >= 2 ** 20) return `${Math.round(bytes / 2 ** 20)}M`;
  return bytes > 9999 ? `${Math.round(bytes / 1024)}K` : String(bytes);
}

/** An array of objects: name, type, mtime, and a file's size. */
export function entriesJson(entries: readonly Entry[]): string {
  const objects = entries.map(({ name, kind, size, seconds }) => {
    // Names go through byte by byte: JSON is UTF-8 if they are.
    const about = `"name":${JSON.stringify(name)}, "type":"${kind}", "mtime":"${formatHttpDate(seconds)}"`;
    return `\r\n{ ${about}${kind === "file" ? `, "size":${size}` : ""} }`;
  });
  return `[${objects.join(",")}\r\n]`;
}

/** A list of elements named as their kind, with mtime and a file's size as attributes. */
export function entriesXml(entries: readonly Entry[]): string {
  const elements = entries.map(({ name, kind, size, seconds }) => {
    const time = new Date(seconds * 1000).toISOString().replace(/\.\d+/, "");
    const sizeText = kind === "file" ? ` size="${size}"` : "";
    return `<${kind} mtime="${time}"${sizeText}>${markupText(name)}</${kind}>\r\n`;
  });
  return `<?xml version="1.0"?>\r\n<list>\r\n${elements.join("")}</list>\r\n`;
}
