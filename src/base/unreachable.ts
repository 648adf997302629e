/** Proves to the compiler that a union is exhausted; throws if a value outside it arrives at run time (our bug). */
export function unreachable(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
