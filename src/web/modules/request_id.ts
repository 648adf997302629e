/** $request_id: a number for each request that no other one has, to find it again in several logs. */
import { randomFillSync } from "node:crypto";
import { asBuffer } from "../../base/bytes.ts";
import type { Variable } from "../variables.ts";

const idBytes = 16;
/** Randomness for many requests is fetched at once: asking the system for each would cost more than all the rest. */
const pool = asBuffer(new Uint8Array(256 * idBytes));
let at = pool.length;

function nextId(): string {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  at += idBytes;
  return pool.hexSlice(at - idBytes, at);
}

export const requestId: Variable = {
  summary: "32 random hexadecimal digits, the same wherever the request is looked at.",
  cached: true,
  get: nextId,
};
