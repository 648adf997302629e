import { expect, test } from "bun:test";
import { closeFd, listenOn, localAddress } from "../net/libc.ts";
import { readInherited, writeInherited } from "./inherited.ts";

const anywhere = { kind: "tcp", family: 4, host: "127.0.0.1", port: 0 } as const;

test("descriptors are numbered from the first on", () => {
  expect(writeInherited(3, 3)).toBe("3;4;5;");
  expect(writeInherited(3, 0)).toBe("");
});

test("sockets of one address belong together, and what is no socket is left out", () => {
  const one = listenOn(anywhere, { backlog: 1, reusePort: true });
  const same = listenOn(localAddress(one), { backlog: 1, reusePort: true });
  const other = listenOn(anywhere, { backlog: 1, reusePort: false });
  const complaints: string[] = [];
  const found = readInherited(`${one};${other};${same};0;x;${one};`, (message) => complaints.push(message));
  expect(found).toEqual([
    { plan: undefined, address: localAddress(one), fds: [one, same] },
    { plan: undefined, address: localAddress(other), fds: [other] },
  ]);
  expect(complaints).toEqual([
    "getsockname() of the inherited socket #0 failed (ENOTSOCK)",
    'invalid socket number "x" in NGINX environment variable, ignoring the rest of the variable',
  ]);
  for (const fd of [one, same, other]) closeFd(fd);
});
