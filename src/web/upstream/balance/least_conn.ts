/** ngx_http_upstream_least_conn_module: who has the fewest requests under way. */
import type { Balancer } from "./balancer.ts";
import { least } from "./least.ts";
import { methodRow } from "./method_row.ts";

export const leastConn: Balancer = {
  begin: () => (peers, choice) => least(peers, choice, ({ state }) => state.connections),
};

export const leastConnRow = methodRow(
  { summary: "The server with the fewest requests under way, by weight, is next.", syntax: "", args: 0 },
  () => ({ backup: true, make: () => leastConn }),
);
