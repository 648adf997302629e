import { expect, test } from "bun:test";
import { Incoming } from "./incoming.ts";

function setUp() {
  const log: string[] = [];
  const incoming = new Incoming({
    onFlow: (mayRead) => log.push(mayRead ? "go" : "stop"),
    onCancelled: (reason) => log.push(`cancelled ${reason}`),
  });
  const sink = {
    push: (bytes: Uint8Array, last: boolean) => {
      log.push(`${bytes.length}${last ? " last" : ""}`);
    },
    fail: (reason: string) => {
      log.push(`failed ${reason}`);
    },
  };
  return { incoming, sink, log };
}

test("a piece goes to whoever waits for it, once", () => {
  const { incoming, sink, log } = setUp();
  incoming.pull(sink);
  expect(log).toEqual([]);
  incoming.add(new Uint8Array(20_000));
  incoming.add(new Uint8Array(5));
  incoming.pump();
  expect(log).toEqual(["20000"]);
  incoming.end();
  incoming.pump();
  incoming.pull(sink);
  expect(log).toEqual(["20000", "5 last"]);
});

test("small pieces are joined", () => {
  const { incoming, sink, log } = setUp();
  for (let i = 0; i < 1000; i++) incoming.add(new Uint8Array(3));
  incoming.end();
  incoming.pull(sink);
  expect(log).toEqual(["3000 last"]);
});

test("who does not read stops the upstream, and starts it again", () => {
  const { incoming, sink, log } = setUp();
  for (let i = 0; i < 3; i++) {
    incoming.add(new Uint8Array(40_000));
    incoming.pump();
  }
  expect(log).toEqual(["stop"]);
  for (let i = 0; i < 3; i++) incoming.pull(sink);
  expect(log).toEqual(["stop", "40000", "40000", "40000", "go"]);
});

test("a failure comes after what came before it", () => {
  const { incoming, sink, log } = setUp();
  incoming.add(new Uint8Array(3));
  incoming.fail("why");
  incoming.pull(sink);
  incoming.pull(sink);
  expect(log).toEqual(["3", "failed why"]);
  const waiting = setUp();
  waiting.incoming.pull(waiting.sink);
  waiting.incoming.fail("why");
  expect(waiting.log).toEqual(["failed why"]);
});

test("the upstream hears of a reader that has gone, unless it has said everything", () => {
  const { incoming, log } = setUp();
  incoming.cancel("gone");
  expect(log).toEqual(["cancelled gone"]);
  const ended = setUp();
  ended.incoming.end();
  ended.incoming.cancel("gone");
  expect(ended.log).toEqual([]);
});

test("what came whole can be taken whole", () => {
  const { incoming } = setUp();
  incoming.add(new Uint8Array(2));
  expect(incoming.takeWhole()).toBeUndefined();
  incoming.add(new Uint8Array(3));
  incoming.end();
  expect(incoming.takeWhole()?.length).toBe(5);
});
