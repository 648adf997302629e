/** ngx_http_split_clients_module: variables with one of several values, each for a share of all clients. */
import { murmurHash2 } from "../../base/murmur_hash.ts";
import { ConfigError, type Statement } from "../../config/statement.ts";
import { context, type Directive } from "../directive.ts";
import { defineModule } from "../module.ts";

/** Of the hashes below `below`, those that no part before takes. */
interface Part {
  readonly below: number;
  readonly value: string;
}

/** Shares are counted in hundredths of a percent. */
const whole = 10_000;

const splitClients: Directive<undefined> = {
  summary: "A variable with one of several values, each for a share of the clients.",
  syntax: "string $variable { percentage% value; … * value; }",
  contexts: context.http,
  args: 2,
  initial: undefined,
  ownBlock: true,
  parse({ args, at, block = [] }, _, { setup }) {
    const [source = "", name = ""] = args;
    const subject = setup.template(source, at);
    if (!/^\$./s.test(name)) throw new ConfigError(`invalid variable name "${name}"`, at);
    const shares = block.map(shareOf);
    const parts = partsOf(shares);
    if (parts === undefined) throw new ConfigError("percent total is greater than 100%", at);
    setup.variables.define(
      name.slice(1),
      {
        summary: "What a `split_clients` of the configuration says.",
        cached: true,
        get(exchange) {
          const hash = murmurHash2(subject.value(exchange));
          for (const { below, value } of parts) if (hash < below) return value;
          return "";
        },
      },
      at,
    );
    return undefined;
  },
};

/** `share` undefined: the rest (`*`). */
interface Share {
  readonly share: number | undefined;
  readonly value: string;
}

function shareOf({ name, args, at, block }: Statement): Share {
  if (block !== undefined) throw new ConfigError('unexpected "{"', at);
  const [value] = args;
  if (value === undefined || args.length > 1)
    throw new ConfigError("invalid number of the split_clients parameters", at);
  if (name === "*") return { share: undefined, value };
  const found = /^(\d{1,9})?(?:\.(\d{0,2}))?%$/.exec(name);
  const [, percent = "", hundredths = ""] = found ?? [];
  const share = Number(`${percent}${hundredths.padEnd(2, "0")}`);
  if (found === null || share === 0) throw new ConfigError(`invalid percent value "${name}"`, at);
  return { share, value };
}

/** undefined: together they are more than all. Rounded as Nginx does, share by share. */
function partsOf(shares: readonly Share[]): Part[] | undefined {
  const parts: Part[] = [];
  let total = 0;
  let below = 0;
  for (const { share, value } of shares) {
    total = share === undefined ? whole : total + share;
    if (total > whole) return undefined;
    if (share !== undefined) below += Math.floor((share * 0xffffffff) / whole);
    parts.push({ below: total === whole ? Number.POSITIVE_INFINITY : below, value });
  }
  return parts;
}

export const splitClientsModule = defineModule({ name: "split_clients", directives: { split_clients: splitClients } });
