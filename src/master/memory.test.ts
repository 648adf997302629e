import { expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { SharedMemories } from "./memory.ts";

const kind = "limit_req $binary_remote_addr";
const isOpen = (fd: number): boolean => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).includes("alicorn-");
  } catch {
    return false;
  }
};

test("a zone keeps its memory as long as it is the same; another one gets its own", () => {
  const memories = new SharedMemories();
  const [one] = memories.prepare([{ name: "one", kind, sizeBytes: 65_536 }]);
  memories.adopt([one!]);
  const again = memories.prepare([
    { name: "two", kind, sizeBytes: 65_536 },
    { name: "one", kind, sizeBytes: 65_536 },
  ]);
  expect(again[1]?.fd).toBe(one!.fd);
  memories.discard(again);
  expect([isOpen(again[0]!.fd), isOpen(one!.fd)]).toEqual([false, true]);
  const larger = memories.prepare([{ name: "one", kind, sizeBytes: 131_072 }]);
  expect(larger[0]?.fd).not.toBe(one!.fd);
  memories.adopt(larger);
  expect([isOpen(one!.fd), isOpen(larger[0]!.fd)]).toEqual([false, true]);
});

test("a zone whose keys mean something else cannot go on", () => {
  const memories = new SharedMemories();
  memories.adopt(memories.prepare([{ name: "one", kind, sizeBytes: 65_536 }]));
  const other = { name: "one", kind: "limit_req $host", sizeBytes: 65_536 };
  expect(() => memories.prepare([other])).toThrow('uses the "$host" key while previously it used the');
});
