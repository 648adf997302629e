/** What gateways are told about a request: names and values as CGI has them (RFC 3875 4.1), latin-1 text. */
import type { ClientHead } from "../client_engine.ts";

export type Params = readonly (readonly [name: string, value: string])[];

/** A request for a gateway. */
export interface GatewayHead extends ClientHead {
  readonly params: Params;
}
