/** ngx_http_access_module: who may come, by the address. The first rule that an address fits decides. */
import { binaryAddress, type Cidr, CidrTable, meaninglessBits, parseCidr } from "../../base/cidr.ts";
import { accessDirectives } from "../core/access.ts";
import { context, type Directive, everywhere, invalidParameter } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import { defineModule } from "../module.ts";
import type { AccessHandler } from "../pipeline.ts";

interface Rule {
  readonly allows: boolean;
  readonly network: Cidr | "all";
}

const rule = (allows: boolean, summary: string): Directive<readonly Rule[]> => ({
  summary,
  syntax: "address | CIDR | unix: | all",
  contexts: everywhere | context.limitExcept,
  args: 1,
  initial: [],
  slot: "access rules",
  parse(statement, before = [], { setup }) {
    const [text = ""] = statement.args;
    if (text === "all") return [...before, { allows, network: "all" }];
    const parsed = parseCidr(text);
    if (parsed === undefined) throw invalidParameter(statement, text);
    if (parsed.lowBits) setup.warn(meaninglessBits(text), statement.at);
    return [...before, { allows, network: parsed.cidr }];
  },
});

const directives = {
  allow: rule(true, "Lets an address or a network in; with `deny`, the first line that fits decides."),
  deny: rule(false, "Keeps an address or a network out."),
};

/** Addresses that no rule fits may come, too. `logs`: refusals are reported. */
function accessByAddress(rules: readonly Rule[], logs: boolean): AccessHandler {
  const table = new CidrTable<boolean>();
  for (const { allows, network } of rules) {
    if (network === "all") table.addAll(allows);
    else table.add(network, allows);
  }
  return (exchange) => {
    const address = binaryAddress(exchange.client.peerAddress);
    const allows = address === undefined ? undefined : table.find(address);
    if (allows !== false) return allows === true ? "allow" : undefined;
    if (logs) exchange.log("error", "access forbidden by rule");
    return errorReply(403);
  };
}

export const accessModule = defineModule({
  name: "access",
  directives,
  compile({ allow: rules }, { block }) {
    if (rules.length === 0) return {};
    // With `satisfy any` a refusal is not the last word.
    return { access: accessByAddress(rules, block.conf(accessDirectives).satisfy === "all") };
  },
});
