/** ngx_http_scgi_module: requests are passed to applications that speak SCGI. */
import { scgiClient } from "../../http/scgi/packet.ts";
import { storesOf } from "../cache/stores.ts";
import { defineModule } from "../module.ts";
import { addressPassRow } from "../upstream/address_pass.ts";
import { checkGateway, GatewayProtocol } from "../upstream/gateway.ts";
import { paramRow } from "../upstream/params.ts";
import { Passing } from "../upstream/passing.ts";
import { passingRows } from "../upstream/passing_rows.ts";

const { scgi_cache_convert_head: _, ...common } = passingRows("scgi");

const directives = { ...common, scgi_pass: addressPassRow(), scgi_param: paramRow };

export const scgiModule = defineModule({
  name: "scgi",
  directives,
  prepare: (http, setup) => checkGateway("scgi", directives, http, setup),
  compile(conf, at) {
    // All caches are looked after, used or not.
    storesOf(at.runtime, conf.scgi_cache_path);
    const pass = conf.scgi_pass;
    if (pass === undefined) return {};
    const kind = { name: "scgi", engine: scgiClient, more: {}, streamsChunked: false };
    const protocol = new GatewayProtocol(kind, pass, conf, at);
    return { content: new Passing(protocol, conf, at.runtime).handle, addsSlash: true };
  },
});
