/** May another request follow on the same connection? The keepalive_* directives. */
import type { Exchange } from "../web/exchange.ts";
import type { ClientLimits } from "../web/limits.ts";

export function mayFollow(exchange: Exchange, limits: ClientLimits): boolean {
  const { keepAliveTimeoutMs, keepAliveRequests, keepAliveMs, keepAliveDisabled } = limits;
  const { requests, acceptedAt } = exchange.client;
  if (exchange.closes || keepAliveTimeoutMs === 0 || requests >= keepAliveRequests) return false;
  if (exchange.startedAt - acceptedAt >= keepAliveMs) return false;
  return keepAliveDisabled.length === 0 || !isDisabled(exchange, keepAliveDisabled);
}

/** keepalive_disable: browsers that lose POST requests on connections that are kept. */
function isDisabled({ method, request }: Exchange, disabled: readonly string[]): boolean {
  const agent = request.headers.get("user-agent");
  if (agent === undefined) return false;
  if (method === "POST" && disabled.includes("msie6") && /MSIE [1-6]\./.test(agent) && !agent.includes("Opera"))
    return true;
  return (
    disabled.includes("safari") && /^(?=.*Mac OS X)(?=.*Safari\/)(?!.*(?:MSIE |Opera|Gecko\/|Chrome\/))/s.test(agent)
  );
}
