/** The shared byte cases of tests/wire/worker-protocol.txt, and what a stream does to them. Python's half: python/tests/test_protocol.py. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FrameError, type FrameHandler, FrameReader, FrameWriter, frameType, headerBytes } from "./frames.ts";

interface Said {
  readonly type: string;
  readonly id?: number;
  readonly flags?: number;
  readonly status?: number;
  readonly environ?: readonly string[];
  readonly head?: readonly string[];
  readonly body?: string;
  readonly path?: string;
  readonly fields?: string;
  readonly count?: number;
  readonly secret?: string;
  readonly slot?: number;
  readonly pid?: number;
  readonly offset?: number;
  readonly length?: number;
}
interface Case {
  readonly name: string;
  readonly bytes: Buffer;
  readonly said: Said;
}

const cases: Case[] = readFileSync(join(import.meta.dir, "../../tests/wire/worker-protocol.txt"), "utf8")
  .split("\n")
  .filter((line) => !line.startsWith("#"))
  .join("\n")
  .split(/\n\n+/)
  .filter((block) => block.trim() !== "")
  .map((block) => {
    const [name = "", hex = "", json = ""] = block.trim().split("\n");
    return { name, bytes: Buffer.from(hex.replaceAll(" ", ""), "hex"), said: JSON.parse(json) };
  });

/** Writes down what it hears, in the words of the cases. */
class Listener implements FrameHandler {
  readonly heard: Said[] = [];
  #say(said: Said): void {
    this.heard.push(Object.fromEntries(Object.entries(said).filter(([, value]) => value !== 0)) as unknown as Said);
  }
  onHello(secret: string, slot: number, pid: number): void {
    this.#say({ type: "HELLO", secret, slot, pid });
  }
  onResponse(id: number, status: number, head: string, body: Uint8Array): void {
    this.#say({ type: "RESPONSE", id, status, head: list(head), body: Buffer.from(body).toString("hex") });
  }
  onHead(id: number, status: number, head: string): void {
    this.#say({ type: "HEAD", id, status, head: list(head) });
  }
  onBody(id: number, bytes: Uint8Array): void {
    this.#say({ type: "BODY", id, body: Buffer.from(bytes).toString("hex") });
  }
  onResponseEnd(id: number): void {
    this.#say({ type: "END", id });
  }
  onFile(id: number, path: string, offset: number, length: number): void {
    this.#say({ type: "FILE", id, offset, length, path });
  }
  onAbort(id: number): void {
    this.#say({ type: "ABORT", id });
  }
  onDraining(): void {
    this.#say({ type: "DRAINING" });
  }
  onIdle(): void {
    this.#say({ type: "IDLE" });
  }
  onReturned(id: number): void {
    this.#say({ type: "RETURNED", id });
  }
  onHints(id: number, fields: string): void {
    this.#say({ type: "HINTS", id, fields });
  }
}
const list = (text: string): string[] => text.split("\n");
const withoutZeros = (said: Said): Said =>
  Object.fromEntries(Object.entries(said).filter(([, value]) => value !== 0)) as unknown as Said;

const fromWorker = cases.filter(({ bytes }) => bytes[4]! >= frameType.hello);
const fromWebWorker = cases.filter(({ bytes }) => bytes[4]! < frameType.hello);

for (const { name, bytes, said } of fromWorker) {
  test(`read: ${name}, whole and at every split`, () => {
    for (let at = 0; at < bytes.length; at++) {
      const listener = new Listener();
      const reader = new FrameReader(listener);
      reader.feed(Buffer.from(bytes.subarray(0, at)));
      reader.feed(Buffer.from(bytes.subarray(at)));
      expect(listener.heard).toEqual([withoutZeros(said)]);
    }
  });
}

test("read: all of them in one piece, and byte by byte", () => {
  const all = Buffer.concat(fromWorker.map(({ bytes }) => bytes));
  const expected = fromWorker.map(({ said }) => withoutZeros(said));
  const whole = new Listener();
  new FrameReader(whole).feed(all);
  expect(whole.heard).toEqual(expected);
  const drip = new Listener();
  const reader = new FrameReader(drip);
  for (const byte of all) reader.feed(Buffer.from([byte]));
  expect(drip.heard).toEqual(expected);
});

/** Writes the frame that a case describes. */
function write(writer: FrameWriter, { type, id = 0, flags = 0, environ = [], body = "", path, count = 0 }: Said): void {
  switch (type) {
    case "REQUEST":
      return writer.request(
        id,
        { writeEnviron: (to) => to.text(environ.join("\n")) },
        path ?? Buffer.from(body, "hex"),
        flags & ~1,
      );
    case "CREDIT":
      return writer.credit(id, count);
    case "CANCEL":
      return writer.cancel(id);
    case "OPENED":
      return writer.opened(id);
    case "POKE":
      return writer.poke();
    case "TAKE_BACK":
      return writer.takeBack(id);
    case "LAST":
      return writer.last();
    default:
      throw new Error(`no such frame: ${type}`);
  }
}

for (const { name, bytes, said } of fromWebWorker) {
  test(`written: ${name}`, () => {
    const writer = new FrameWriter();
    write(writer, said);
    expect(Buffer.from(writer.take()).toString("hex")).toBe(bytes.toString("hex"));
    expect(writer.empty).toBe(true);
  });
}

test("written: many frames in one piece, larger than the buffer was", () => {
  const writer = new FrameWriter();
  const body = Buffer.alloc(50_000, "x");
  for (let id = 1; id <= 8; id++) writer.request(id, { writeEnviron: (to) => to.text("A\n".repeat(40)) }, body);
  const bytes = Buffer.from(writer.take());
  expect(bytes.length).toBe(8 * (headerBytes + 4 + 80 + 50_000));
  for (let id = 1, at = 0; id <= 8; id++, at += headerBytes + bytes.readUInt32LE(at))
    expect(bytes.readUInt32LE(at + 8)).toBe(id);
});

test("what is not the protocol is an error, not a crash or a wait for gigabytes", () => {
  const reader = () => new FrameReader(new Listener());
  expect(() => reader().feed(Buffer.from("GET / HTTP/1.1\r\n"))).toThrow(FrameError);
  expect(() => reader().feed(Buffer.from([0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0]))).toThrow(FrameError);
});
