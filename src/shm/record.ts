/** Where the fields of a table's record lie. */

/** f64: any number; i32, u32: whole numbers of 32 bits, which wrap round. */
export type FieldType = "f64" | "i32" | "u32";

/** `{ excess: "f64", last: "f64", count: "u32" }` */
export type Fields = Readonly<Record<string, FieldType>>;

export interface Placed {
  readonly type: FieldType;
  /** From the node's first byte. */
  readonly offset: number;
}

export interface RecordLayout<F extends Fields> {
  readonly fields: { readonly [N in keyof F]: Placed };
  /** The first byte behind the record, from the node's first byte. */
  readonly end: number;
}

/** Places a record that begins at this offset, a multiple of 4: doubles on multiples of 8, and one word before them if there is a gap. */
export function recordLayout<F extends Fields>(fields: F, begin: number): RecordLayout<F> {
  const all: [string, FieldType][] = Object.entries(fields);
  const words = all.filter(([, type]) => type !== "f64");
  const doubles = all.filter(([, type]) => type === "f64");
  const gap = begin % 8 === 0 || doubles.length === 0 ? [] : words.splice(0, 1);
  const placed: Record<string, Placed> = {};
  let offset = begin;
  for (const [name, type] of [...gap, ...doubles, ...words]) {
    if (type === "f64") offset = Math.ceil(offset / 8) * 8;
    placed[name] = { type, offset };
    offset += type === "f64" ? 8 : 4;
  }
  return { fields: placed as RecordLayout<F>["fields"], end: offset };
}

/** The same fields in the same order have the same text. */
export function fieldsText(fields: Fields): string {
  return Object.entries(fields)
    .map(([name, type]) => `${name}:${type}`)
    .join(",");
}
