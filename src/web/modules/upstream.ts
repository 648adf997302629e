/** ngx_http_upstream_module: groups of servers that requests are passed to, and the variables that tell of them. */
import { ConfigError } from "../../config/statement.ts";
import { defineModule } from "../module.ts";
import { upstreamDirectives, upstreamsOf } from "../upstream/groups.ts";
import { upstreamFamilies, upstreamVariables } from "../upstream/state.ts";

export const upstreamModule = defineModule({
  name: "upstream",
  directives: upstreamDirectives,
  variables: upstreamVariables,
  families: upstreamFamilies,
  prepare(block) {
    for (const [name, group] of upstreamsOf(block)) {
      const servers = group.conf(upstreamDirectives)["server@upstream"];
      if (servers.length === 0) throw new ConfigError(`no servers are inside upstream`, group.at);
      if (servers.every(({ backup }) => backup)) throw new ConfigError(`no servers in upstream "${name}"`, group.at);
    }
  },
});
