/** "One write per turn": what has output is flushed together, when the event that produced the output has been dealt with. */

export interface Flushable {
  flush(): void;
}

let waiting: Flushable[] = [];

/** Calls `target.flush()` after the code that runs now, and the promises it has resolved. The caller asks once per flush. */
export function flushSoon(target: Flushable): void {
  if (waiting.length === 0) queueMicrotask(flushAll);
  waiting.push(target);
}

function flushAll(): void {
  const targets = waiting;
  waiting = [];
  for (const target of targets) target.flush();
}
