/**
 * Sockets that one master hands to the next during an upgrade: their descriptors are open in the new process, and the environment
 * variable NGINX names them: "3;4;5;". It is Nginx's own way, so either program can take over from the other.
 */
import { localAddress, SystemError } from "../net/libc.ts";
import type { Listening } from "./sockets.ts";

export const variable = "NGINX";

/** The variable's value for descriptors that begin at `first`. */
export const writeInherited = (first: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `${first + i};`).join("");

/** The sockets that the variable names, those of one address together. What is no socket is left out, with a word to `complain`. */
export function readInherited(value: string, complain: (message: string) => void): Listening[] {
  const found = new Map<string, { address: Listening["address"]; fds: number[] }>();
  for (const text of value.split(/[;:]/).filter((each) => each !== "")) {
    if (!/^\d+$/.test(text)) {
      complain(
        `invalid socket number "${text}" in ${variable} environment variable, ignoring the rest of the variable`,
      );
      break;
    }
    try {
      const address = localAddress(Number(text));
      const key = JSON.stringify(address);
      const same = found.get(key) ?? { address, fds: [] };
      found.set(key, same);
      same.fds.push(Number(text));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      complain(`getsockname() of the inherited socket #${text} failed (${error.code})`);
    }
  }
  return [...found.values()].map(({ address, fds }) => ({ plan: undefined, address, fds }));
}
