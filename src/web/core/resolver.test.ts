import { expect, test } from "bun:test";
import { built, faultOf } from "../../../tests/support/configuration.ts";
import { context } from "../directive.ts";
import { resolverDirectives } from "./resolver.ts";

function confOf(http: string) {
  const [block] = built(`events { } http { ${http} }`).main.childrenOf(context.http);
  if (block === undefined) throw new Error("no http block");
  return block.conf(resolverDirectives);
}

test("servers, with and without a port, and parameters", () => {
  expect(confOf("resolver 127.0.0.1 127.0.0.2:5353 [::1]:54 valid=1m ipv6=off; resolver_timeout 2s;")).toEqual({
    resolver: {
      servers: [
        { kind: "tcp", family: 4, host: "127.0.0.1", port: 53 },
        { kind: "tcp", family: 4, host: "127.0.0.2", port: 5353 },
        { kind: "tcp", family: 6, host: "::1", port: 54 },
      ],
      validMs: 60_000,
      ipv4: true,
      ipv6: false,
    },
    resolver_timeout: 2000,
  });
});

test("there is none unless it is named", () => {
  expect(confOf("")).toEqual({ resolver: undefined, resolver_timeout: 30_000 });
});

test.each([
  ["resolver 127.0.0.1; resolver 127.0.0.2;", '"resolver" directive is duplicate'],
  ["resolver valid=1m;", "no name servers defined"],
  ["resolver 127.0.0.1 valid=x;", "invalid parameter: valid=x"],
  ["resolver 127.0.0.1 ipv6=maybe;", "invalid parameter: ipv6=maybe"],
  ["resolver 127.0.0.1 ipv4=off ipv6=off;", '"ipv4" and "ipv6" cannot both be "off"'],
  ["resolver 127.0.0.1:0;", 'invalid port in resolver "127.0.0.1:0"'],
  ["resolver :53;", 'no host in resolver ":53"'],
  ["resolver [::x];", 'invalid IPv6 address in resolver "[::x]"'],
  ["resolver no.such.host.invalid;", 'host not found in resolver "no.such.host.invalid"'],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
