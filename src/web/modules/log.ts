/** The access log in the combined format, which Nginx and Gunicorn share as their default. */
import { hexEscape, zone } from "../../base/log.ts";
import type { Exchange } from "../exchange.ts";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Writes a line for each request that has ended. `bodyBytes`: what was sent of the body. */
export type AccessLog = (exchange: Exchange, status: number, bodyBytes: number) => void;

/** `write` gets whole lines, many at once: they are gathered until the end of the loop's turn. */
export function accessLog(write: (lines: string) => void): AccessLog {
  let lines = "";
  const flush = () => {
    const text = lines;
    lines = "";
    write(text);
  };
  return (exchange, status, bodyBytes) => {
    if (lines === "") setImmediate(flush);
    lines += combined(exchange, status, bodyBytes);
  };
}

function combined({ request, ends }: Exchange, status: number, bodyBytes: number): string {
  const { headers } = request;
  const version = request.version === 20 ? "HTTP/2.0" : request.version === 11 ? "HTTP/1.1" : "HTTP/1.0";
  const peer = ends.peerAddress === "" ? "-" : ends.peerAddress;
  return `${peer} - ${user(headers.get("authorization"))} [${now()}] "${quoted(`${request.method} ${request.target} ${version}`)}" ${status} ${bodyBytes} "${quoted(headers.get("referer") ?? "-")}" "${quoted(headers.get("user-agent") ?? "-")}"\n`;
}

// The client must not be able to end the line or the quotes: Nginx's escape, \xHH.
const unsafe = /["\\\x00-\x1f\x7f-\xff]/;
function quoted(text: string): string {
  return unsafe.test(text) ? text.replace(/["\\\x00-\x1f\x7f-\xff]/g, hexEscape) : text;
}

/** The user of Basic authentication (RFC 7617 2), believed or not: the log says what was sent. */
function user(authorization: string | undefined): string {
  const found = /^basic +(\S+)$/i.exec(authorization ?? "");
  if (found === null) return "-";
  const name =
    Buffer.from(found[1] ?? "", "base64")
      .toString("latin1")
      .split(":")[0] ?? "";
  return name === "" ? "-" : quoted(name).replaceAll(" ", "\\x20");
}

let second = 0;
let text = "";
/** `24/Nov/2026:09:22:34 +0000`, made once a second. */
function now(): string {
  const current = Math.floor(Date.now() / 1000);
  if (current !== second) {
    second = current;
    const date = new Date(current * 1000);
    const two = (n: number) => String(n).padStart(2, "0");
    text = `${two(date.getDate())}/${months[date.getMonth()]}/${date.getFullYear()}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone(date)}`;
  }
  return text;
}
