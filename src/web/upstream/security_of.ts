/** Which locations speak TLS to their upstreams: found, and made ready, when the configuration is checked. */
import type { Block } from "../build.ts";
import type { Conf, Directives } from "../directive.ts";
import type { Setup } from "../setup.ts";
import type { Template } from "../template.ts";
import { UpstreamSecurity } from "./security.ts";
import { upstreamTlsConf } from "./tls_rows.ts";

const made = new WeakMap<Block, Map<string, UpstreamSecurity>>();

/** What `proxy_pass` and its like have in common here. */
interface Pass {
  readonly secure: boolean;
  readonly template: Template | undefined;
}

/** `prefix`: of the module's directives. undefined: no request of the location can need it. Throws ConfigError. */
export function upstreamSecurity(
  prefix: string,
  conf: Conf<Directives>,
  block: Block,
  setup: Setup,
): UpstreamSecurity | undefined {
  const pass = conf[`${prefix}_pass`] as Pass | undefined;
  if (pass === undefined || (!pass.secure && pass.template === undefined)) return undefined;
  const here = made.get(block) ?? new Map<string, UpstreamSecurity>();
  made.set(block, here);
  const security = here.get(prefix) ?? new UpstreamSecurity(prefix, upstreamTlsConf(prefix, conf), setup);
  here.set(prefix, security);
  return security;
}

/** Everywhere in a configuration. Throws ConfigError. */
export function checkUpstreamSecurity(prefix: string, directives: Directives, block: Block, setup: Setup): void {
  upstreamSecurity(prefix, block.conf(directives), block, setup);
  for (const child of block.children) checkUpstreamSecurity(prefix, directives, child, setup);
}
