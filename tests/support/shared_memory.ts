/** Shared memory for one test each. */
import { afterEach } from "bun:test";
import { closeFd, sharedMemory } from "../../src/net/libc.ts";

const fds: number[] = [];

/** A descriptor, closed when the test ends. */
export function memory(sizeBytes: number): number {
  const fd = sharedMemory("test", sizeBytes);
  fds.push(fd);
  return fd;
}

afterEach(() => {
  for (const fd of fds.splice(0)) closeFd(fd);
});
