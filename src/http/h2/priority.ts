/** In which order responses are sent (RFC 9218). The tree of RFC 7540 is gone: RFC 9113 5.3.2. */

export interface Priority {
  /** 0, most urgent, to 7. */
  readonly urgency: number;
  /** Useful in parts: takes turns with others; else one response goes after the other. */
  readonly incremental: boolean;
}

/** RFC 9218 4.2 would not take turns; without a word from the client fairness is the better guess. */
export const defaultPriority: Priority = { urgency: 3, incremental: true };

/** The field's value; what is wrong or unknown in it is ignored (RFC 9218 4). */
export function parsePriority(text: string): Priority {
  let urgency = 3;
  let incremental = false;
  for (const member of text.split(",")) {
    const found = /^[ \t]*([a-z*][a-z0-9_.*-]*)(?:=([^;]*))?(?:;.*)?$/.exec(member.trimEnd());
    if (found === null) continue;
    const [, key, value] = found;
    if (key === "u" && value !== undefined && /^[0-7]$/.test(value)) urgency = Number(value);
    else if (key === "i") incremental = value === undefined || value === "?1";
  }
  return { urgency, incremental };
}

/** Something that wants to send. */
export interface Contender {
  readonly id: number;
  readonly priority: Priority;
  turn: number;
}

/** Is `a` to send before `b`? */
export function goesFirst(a: Contender, b: Contender): boolean {
  if (a.priority.urgency !== b.priority.urgency) return a.priority.urgency < b.priority.urgency;
  if (a.priority.incremental !== b.priority.incremental) return !a.priority.incremental;
  if (a.priority.incremental && a.turn !== b.turn) return a.turn < b.turn;
  return a.id < b.id;
}
