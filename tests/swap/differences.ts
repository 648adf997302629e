/** What cannot be the same in all four set-ups, and why. A check that is not named here expects the same of each. */
import type { SetUp } from "./set_ups.ts";

interface Difference {
  readonly check: string;
  readonly setUps: readonly SetUp["name"][];
  readonly expected: unknown;
  readonly why: string;
}

/** The client's address in the checks. */
export const clientAddress = "127.0.0.5";

const differences: readonly Difference[] = [
  {
    check: "REMOTE_ADDR",
    setUps: ["Alicorn alone"],
    expected: clientAddress,
    why: "the client's connection is the server's own; a Unix socket's other end has no address",
  },
  {
    check: "X-Forwarded-For",
    setUps: ["Alicorn alone"],
    expected: null,
    why: "nobody passes the request on: proxy_set_header is for proxy_pass",
  },
  {
    check: "X-Forwarded-For of a client",
    setUps: ["Alicorn alone"],
    expected: "203.0.113.9",
    why: "the field as it was sent, with nothing added; no application should believe it",
  },
  {
    check: "X-Forwarded-Proto",
    setUps: ["Alicorn alone"],
    expected: null,
    why: "the same",
  },
  {
    check: "a response's field of 9000 bytes",
    setUps: ["Alicorn alone"],
    expected: 200,
    why: "proxy_buffer_size (4k or 8k) bounds the head that a proxy takes from a server behind it",
  },
];

/** What the set-up should give: as usual, unless the table says otherwise. */
export const expected = (check: string, setUp: SetUp, usual: unknown): unknown => {
  const row = differences.find((each) => each.check === check && each.setUps.includes(setUp.name));
  return row === undefined ? usual : row.expected;
};
