/** All methods of choosing servers; without one it is round robin. */
import { hashRow } from "./hash.ts";
import { ipHashRow } from "./ip_hash.ts";
import { leastConnRow } from "./least_conn.ts";
import { leastTimeRow } from "./least_time.ts";
import { randomRow } from "./random.ts";

export const methodDirectives = {
  hash: hashRow,
  ip_hash: ipHashRow,
  least_conn: leastConnRow,
  least_time: leastTimeRow,
  random: randomRow,
};
