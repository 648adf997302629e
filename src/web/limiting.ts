/** What `limit_req` and `limit_conn` have in common: how they refuse, and which values of a key they count. */
import { ConfigError } from "../config/statement.ts";
import { choice, type Directive, everywhere, number } from "./directive.ts";
import type { Exchange } from "./exchange.ts";
import type { Template } from "./template.ts";

const statusRow = number({
  contexts: everywhere,
  initial: 503,
  initialText: "503",
  summary: "The status of refused requests.",
});

/** `limit_req_status`, `limit_conn_status`: an error's. */
export const refusalStatus: Directive<number> = {
  ...statusRow,
  parse(statement, before, at) {
    const status = statusRow.parse(statement, before, at);
    if (status < 400 || status > 599) throw new ConfigError("value must be between 400 and 599", statement.at);
    return status;
  },
};

/** `limit_req_log_level`, `limit_conn_log_level`. */
export const refusalLevel = (summary: string) =>
  choice(["info", "notice", "warn", "error"], { contexts: everywhere, initial: "error", summary });

/** A request's value of a zone's key; "": it is not limited. One that is too long is not counted either, and logged. */
export function limitedKey(exchange: Exchange, key: Template, mostBytes: number): string {
  const value = key.value(exchange);
  if (value.length <= mostBytes) return value;
  exchange.log("error", `the value of the "${key.text}" key is more than ${mostBytes} bytes: "${value}"`);
  return "";
}
