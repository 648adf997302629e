/** The client engine in a test's hands: what it says and hears, a line each. */
import { expect } from "bun:test";
import type { ClientEvent } from "../../src/http/client_engine.ts";
import { H2Client, type H2RequestHead } from "../../src/http/h2/client.ts";
import { preface } from "../../src/http/h2/frames.ts";
import { Headers } from "../../src/http/headers.ts";
import { describe, FrameLog, settings } from "./h2.ts";

export const get: H2RequestHead = {
  method: "GET",
  scheme: "http",
  authority: "example.com",
  path: "/a?b",
  headers: new Headers(),
  bodyLength: undefined,
};
export const post: H2RequestHead = { ...get, method: "POST", bodyLength: -1 };

/** An event in a line. */
export function told(event: ClientEvent): string {
  switch (event.type) {
    case "interim":
      return `interim ${event.head.status}`;
    case "response": {
      const { status, framing, bodyLength, headers } = event.head;
      const fields = headers.names.map(({ raw }, i) => ` ${raw}: ${headers.values[i]}`);
      return `response ${status} ${framing} ${bodyLength}${fields.join(",")}`;
    }
    case "data":
      return `data ${Buffer.from(event.bytes).toString("latin1")}`;
    case "trailers":
      return `trailers ${event.headers.names.map(({ raw }, i) => `${raw}: ${event.headers.values[i]}`).join(", ")}`;
    case "failed":
      return `failed ${event.kind}: ${event.error.detail} (${event.error.rule})`;
    default:
      return event.type;
  }
}

/** A client that has been greeted, and what is heard at its other end. */
export function client(greeting: Uint8Array = settings()) {
  const engine = new H2Client();
  const log = new FrameLog();
  const first = Buffer.concat(engine.takeOutput());
  expect(first.subarray(0, preface.length).equals(preface)).toBe(true);
  const greeted = log.read(first.subarray(preface.length)).map(describe);
  expect(greeted).toEqual(["settings", `windowUpdate 0 ${1024 * 1024 - 65535}`]);
  engine.receive(greeting);
  const sent = (): string[] => log.read(Buffer.concat(engine.takeOutput())).map(describe);
  const hear = (...parts: readonly Uint8Array[]): string[] => engine.receive(Buffer.concat(parts)).map(told);
  expect(sent()).toEqual(["settings ack"]);
  return { engine, sent, hear };
}
