/** Waiting that comes to an end. */

/** Waits for the promise's end, whatever it is, but not longer than `ms`. */
export async function atMost(promise: Promise<unknown>, ms: number): Promise<void> {
  await withDeadline(promise, ms, "late").catch(() => {});
}

/** The promise's outcome, or after `ms` an error that says why. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, why: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(why)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
