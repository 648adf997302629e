import { describe, expect, test } from "bun:test";
import { openSync } from "node:fs";
import { bodyBytes, directoryOf } from "../../tests/support/exchange.ts";
import { type Body, emptyBody, type HttpFailure, type Sink, type Source } from "../http/message.ts";
import { changed, gather, postponed, sourceOf, strung } from "./body_change.ts";

/** A body of these pieces, one for each pull; it fails after them if `fault` says why. */
class Pieces implements Source {
  readonly #pieces: readonly string[];
  readonly #fault: string | undefined;
  pulls = 0;
  cancelled: string | undefined;

  constructor(pieces: readonly string[], fault?: string) {
    this.#pieces = pieces;
    this.#fault = fault;
  }

  get body(): Body {
    return { kind: "stream", source: this };
  }

  pull(to: Sink): void {
    const at = this.pulls++;
    const piece = this.#pieces[at];
    if (piece === undefined) to.fail(this.#fault ?? "pulled beyond its end");
    else to.push(Buffer.from(piece), this.#fault === undefined && at === this.#pieces.length - 1);
  }

  cancel(reason: string): void {
    this.cancelled = reason;
  }
}

/** Pulls by hand, and writes down what comes: "piece", "last.", "failed: why". */
class Puller implements Sink {
  readonly #source: Source;
  readonly got: string[] = [];

  constructor(body: Body) {
    this.#source = sourceOf(body);
  }

  pull(): void {
    this.#source.pull(this);
  }

  cancel(reason: string): void {
    this.#source.cancel(reason);
  }

  push(bytes: Uint8Array, last: boolean): void {
    this.got.push(`${Buffer.from(bytes)}${last ? "." : ""}`);
  }

  fail(reason: string): void {
    this.got.push(`failed: ${reason}`);
  }
}

const bytesBody = (text: string): Body => ({ kind: "bytes", bytes: Buffer.from(text) });
const upper = (bytes: Uint8Array): Uint8Array => Buffer.from(Buffer.from(bytes).toString().toUpperCase());
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("every kind of body is a source", async () => {
  using directory = directoryOf({ file: "0123456789" });
  let released = 0;
  const file = { fd: openSync(`${directory.path}/file`, "r"), release: () => released++ };
  const bodies: Body[] = [
    emptyBody,
    bytesBody("bytes"),
    { kind: "file", file, offset: 2, length: 5 },
    new Pieces(["a", "b"]).body,
  ];
  const texts: string[] = [];
  for (const body of bodies) texts.push((await bodyBytes({ kind: "stream", source: sourceOf(body) })).toString());
  expect(texts).toEqual(["", "bytes", "23456", "ab"]);
  expect(released).toBe(1);
});

describe("changed", () => {
  test("one pull, one piece; the last is known to be the last", () => {
    const inner = new Pieces(["a", "b", "c"]);
    const lasts: boolean[] = [];
    const puller = new Puller(
      changed(inner.body, (bytes, last) => {
        lasts.push(last);
        return upper(bytes);
      }),
    );
    puller.pull();
    expect([puller.got, inner.pulls]).toEqual([["A"], 1]);
    puller.pull();
    puller.pull();
    expect([puller.got, inner.pulls, lasts]).toEqual([["A", "B", "C."], 3, [false, false, true]]);
  });

  test("what makes nothing of a piece is asked for the next, until the end", () => {
    const held: string[] = [];
    const inner = new Pieces(["a", "b", "c"]);
    const whole = changed(inner.body, (bytes, last) => {
      held.push(Buffer.from(bytes).toString());
      return Buffer.from(last ? held.join("") : "");
    });
    const puller = new Puller(whole);
    puller.pull();
    expect([puller.got, inner.pulls]).toEqual([["abc."], 3]);
    const nothing = new Puller(changed(new Pieces(["a", "b"]).body, () => new Uint8Array(0)));
    nothing.pull();
    expect(nothing.got).toEqual(["."]);
  });

  test("one that takes its time: the same pieces, and no pull in between", async () => {
    const inner = new Pieces(["a", "b"]);
    const puller = new Puller(changed(inner.body, async (bytes) => upper(bytes)));
    puller.pull();
    expect(puller.got).toEqual([]);
    await settled();
    expect([puller.got, inner.pulls]).toEqual([["A"], 1]);
    puller.pull();
    await settled();
    expect(puller.got).toEqual(["A", "B."]);
  });

  test("a cancelled one gives nothing any more, not even what was on its way", async () => {
    const inner = new Pieces(["a", "b"]);
    const puller = new Puller(changed(inner.body, async (bytes) => upper(bytes)));
    puller.pull();
    puller.cancel("the client has gone");
    await settled();
    expect([puller.got, inner.cancelled]).toEqual([[], "the client has gone"]);
  });

  test("failures: of the body, of the change, at once or later", async () => {
    const ofBody = new Puller(changed(new Pieces(["a"], "broken").body, upper));
    ofBody.pull();
    ofBody.pull();
    expect(ofBody.got).toEqual(["A", "failed: broken"]);
    for (const change of [
      () => {
        throw new Error("no such change");
      },
      () => Promise.reject(new Error("no such change")),
    ]) {
      const inner = new Pieces(["a", "b"]);
      const puller = new Puller(changed(inner.body, change));
      puller.pull();
      await settled();
      expect(puller.got).toEqual(["failed: no such change"]);
      expect(inner.cancelled).toBe("a filter failed");
    }
  });
});

describe("strung", () => {
  test("one behind the other, each begun when it is wanted; one piece per pull", () => {
    const second = new Pieces(["b", "c"]);
    let made = 0;
    const later = (): Body => {
      made++;
      return second.body;
    };
    const puller = new Puller(strung([bytesBody("a"), later, bytesBody("d")]));
    puller.pull();
    expect([puller.got, made, second.pulls]).toEqual([["a"], 0, 0]);
    puller.pull();
    expect([puller.got, made, second.pulls]).toEqual([["a", "b"], 1, 1]);
    puller.pull();
    puller.pull();
    expect(puller.got).toEqual(["a", "b", "c", "d."]);
  });

  test("of none, of empty ones, and of those that are made later", async () => {
    expect((await bodyBytes(strung([]))).toString()).toBe("");
    expect((await bodyBytes(strung([emptyBody, bytesBody("a"), emptyBody]))).toString()).toBe("a");
    expect((await bodyBytes(strung([async () => bytesBody("a"), () => bytesBody("b")]))).toString()).toBe("ab");
  });

  test("a part that breaks, or cannot be made, breaks the whole", async () => {
    const broken = new Puller(strung([new Pieces([], "broken").body, bytesBody("b")]));
    broken.pull();
    const unmade = new Puller(strung([() => Promise.reject(new Error("not made")), bytesBody("b")]));
    unmade.pull();
    await settled();
    expect([broken.got, unmade.got]).toEqual([["failed: broken"], ["failed: not made"]]);
  });

  test("cancelled: the one in progress and those to come hear it, those that were not begun are not", () => {
    const parts = [new Pieces(["a"]), new Pieces(["b", "c"]), new Pieces(["d"])] as const;
    let made = 0;
    const puller = new Puller(
      strung([
        ...parts.map(({ body }) => body),
        () => {
          made++;
          return emptyBody;
        },
      ]),
    );
    puller.pull();
    puller.pull();
    puller.cancel("gone");
    expect([parts.map(({ cancelled }) => cancelled), made]).toEqual([[undefined, "gone", "gone"], 0]);
  });

  test("cancelled while a part is being made: that one hears it when it is there", async () => {
    const late = new Pieces(["a"]);
    const puller = new Puller(strung([async () => late.body]));
    puller.pull();
    puller.cancel("gone");
    await settled();
    expect([puller.got, late.cancelled, late.pulls]).toEqual([[], "gone", 0]);
  });
});

describe("gather", () => {
  test("all bytes, of whatever kind of body", async () => {
    const bodies = [emptyBody, bytesBody("bytes"), new Pieces(["a", "b", "", "c"]).body];
    const texts = await Promise.all(bodies.map(async (body) => Buffer.from(await gather(body)).toString()));
    expect(texts).toEqual(["", "bytes", "abc"]);
  });

  test("sources may use their buffer again", async () => {
    const buffer = Buffer.from("a");
    let pulls = 0;
    const source: Source = {
      pull(to) {
        buffer.write(pulls === 0 ? "x" : "y");
        to.push(buffer, pulls++ === 1);
      },
      cancel() {},
    };
    expect(Buffer.from(await gather({ kind: "stream", source })).toString()).toBe("xy");
  });

  test("one that breaks off, or is too long, is a failure; the rest of it is not read", async () => {
    const status = (reading: Promise<unknown>) => reading.catch((error) => (error as HttpFailure).status);
    expect(await status(gather(new Pieces(["a"], "broken").body))).toBe(502);
    const long = new Pieces(["aa", "bb", "cc"]);
    expect(await status(gather(long.body, 3))).toBe(502);
    expect([long.pulls, long.cancelled]).toEqual([2, "too long"]);
    expect(Buffer.from(await gather(new Pieces(["aa", "b"]).body, 3)).toString()).toBe("aab");
  });
});

test("postponed: the first piece is no small one, unless it is the whole", () => {
  const large = "x".repeat(2000);
  const inner = new Pieces(["a", "b", large, "c", "d"]);
  const puller = new Puller({ kind: "stream", source: postponed(inner) });
  puller.pull();
  puller.pull();
  puller.pull();
  expect(puller.got).toEqual([`ab${large}`, "c", "d."]);
  const small = new Puller({ kind: "stream", source: postponed(new Pieces(["a", "b"])) });
  small.pull();
  expect(small.got).toEqual(["ab."]);
  const failing = new Puller({ kind: "stream", source: postponed(new Pieces(["a"], "broken")) });
  failing.pull();
  expect(failing.got).toEqual(["failed: broken"]);
});
