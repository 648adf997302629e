/** Where redirects of ours point: absolute URLs as Nginx makes them, or paths alone. */
import type { Exchange } from "./exchange.ts";

/** absolute_redirect, server_name_in_redirect, port_in_redirect. */
export interface RedirectConf {
  readonly absolute: boolean;
  readonly serverName: boolean;
  readonly port: boolean;
}

/** A `Location` value; what does not begin with "/" is absolute already. */
export function redirectTarget(exchange: Exchange, target: string): string {
  const { absolute, serverName, port } = exchange.location.redirects;
  if (!target.startsWith("/") || !absolute) return target;
  const { client, request, server } = exchange;
  const host = serverName ? server.name : request.host === "" ? hostOf(client.localAddress) : request.host;
  const usual = client.scheme === "https" ? "443" : "80";
  const suffix = port && client.localPort !== "" && client.localPort !== usual ? `:${client.localPort}` : "";
  return `${client.scheme}://${host}${suffix}${target}`;
}

const hostOf = (address: string): string => (address.includes(":") ? `[${address}]` : address);
