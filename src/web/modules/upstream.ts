/** ngx_http_upstream_module: groups of servers that requests are passed to, and the variables that tell of them. */
import { cacheVariables } from "../cache/state.ts";
import { defineModule } from "../module.ts";
import { checkUpstreams, upstreamDirectives } from "../upstream/groups.ts";
import { upstreamFamilies, upstreamVariables } from "../upstream/state.ts";

export const upstreamModule = defineModule({
  name: "upstream",
  directives: upstreamDirectives,
  variables: { ...upstreamVariables, ...cacheVariables },
  families: upstreamFamilies,
  prepare: checkUpstreams,
});
