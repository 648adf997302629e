/** ngx_http_upstream_module: groups of servers that requests are passed to, and the variables that tell of them. */
import { cacheVariables } from "../cache/state.ts";
import { defineModule } from "../module.ts";
import { checkUpstreams, targetOf, upstreamDirectives, upstreamsOf } from "../upstream/groups.ts";
import { upstreamFamilies, upstreamVariables } from "../upstream/state.ts";

export const upstreamModule = defineModule({
  name: "upstream",
  directives: upstreamDirectives,
  variables: { ...upstreamVariables, ...cacheVariables },
  families: upstreamFamilies,
  prepare: checkUpstreams,
  // Names are asked for from the beginning, not from the first request on.
  compile(_, { block, runtime }) {
    for (const [name, group] of upstreamsOf(block))
      if (group.conf(upstreamDirectives).zone !== undefined) targetOf(group, name, runtime);
    return {};
  },
});
