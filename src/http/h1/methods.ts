/** Methods, recognised by their bytes. */

/** Methods by their first bytes, so that the usual ones need no new string. */
export function methodAt(bytes: Buffer, from: number, to: number): string {
  const method = usualMethods[bytes[from]! & 31];
  if (method === undefined || method.length !== to - from) return bytes.latin1Slice(from, to);
  for (let i = 0; i < method.length; i++)
    if (bytes[from + i] !== method.charCodeAt(i)) return bytes.latin1Slice(from, to);
  return method;
}

/** By the first letter's place in the alphabet: one for each letter, the most frequent. */
const usualMethods: (string | undefined)[] = new Array(32).fill(undefined);
for (const method of ["DELETE", "GET", "HEAD", "OPTIONS", "POST"]) usualMethods[method.charCodeAt(0) & 31] = method;

export const isUsualMethod = (method: string): boolean => usualMethods[method.charCodeAt(0) & 31] === method;
