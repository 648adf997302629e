/** ngx_http_uwsgi_module: requests are passed to applications that speak the uwsgi protocol. */
import { ConfigError } from "../../config/statement.ts";
import { uwsgiClient } from "../../http/uwsgi/packet.ts";
import { storesOf } from "../cache/stores.ts";
import { type Directive, duplicate, everywhere, text } from "../directive.ts";
import { defineModule } from "../module.ts";
import { addressPassRow } from "../upstream/address_pass.ts";
import { checkGateway, GatewayProtocol } from "../upstream/gateway.ts";
import { paramRow } from "../upstream/params.ts";
import { Passing } from "../upstream/passing.ts";
import { passingRows } from "../upstream/passing_rows.ts";
import { checkUpstreamSecurity, upstreamSecurity } from "../upstream/security_of.ts";
import { upstreamTlsRows } from "../upstream/tls_rows.ts";

const modifier = (summary: string): Directive<number> => ({
  summary,
  syntax: "number",
  contexts: everywhere,
  args: 1,
  initial: 0,
  initialText: "0",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    const { name, args, at } = statement;
    const [given = ""] = args;
    if (!/^\d{1,15}$/.test(given)) throw new ConfigError(`"${name}" directive invalid number`, at);
    if (Number(given) > 255) throw new ConfigError(`value must be between 0 and 255`, at);
    return Number(given);
  },
});

const { uwsgi_cache_convert_head: _, ...common } = passingRows("uwsgi");

const schemes = { plain: "uwsgi", secure: "suwsgi" };

const directives = {
  ...common,
  ...upstreamTlsRows("uwsgi"),
  uwsgi_pass: addressPassRow(schemes),
  uwsgi_param: paramRow,
  uwsgi_modifier1: modifier("The first byte of a request: what kind of application it is for."),
  uwsgi_modifier2: modifier("The fourth byte of a request."),
  uwsgi_string: text({ contexts: everywhere, initial: "", summary: "Put behind the values of each request as it is." }),
};

export const uwsgiModule = defineModule({
  name: "uwsgi",
  directives,
  prepare(http, setup) {
    checkGateway("uwsgi", directives, http, setup);
    checkUpstreamSecurity("uwsgi", directives, http, setup);
  },
  compile(conf, at) {
    // All caches are looked after, used or not.
    storesOf(at.runtime, conf.uwsgi_cache_path);
    const pass = conf.uwsgi_pass;
    if (pass === undefined) return {};
    const kind = {
      name: "uwsgi",
      engine: uwsgiClient,
      more: { modifier1: conf.uwsgi_modifier1, modifier2: conf.uwsgi_modifier2, string: conf.uwsgi_string },
      streamsChunked: false,
      schemes,
      security: upstreamSecurity("uwsgi", conf, at.block, at.setup),
    };
    const protocol = new GatewayProtocol(kind, pass, conf, at);
    return { content: new Passing(protocol, conf, at.runtime).handle, addsSlash: true };
  },
});
