import { expect, test } from "bun:test";
import { Headers } from "../http/headers.ts";
import type { Ends, RequestHead } from "../http/message.ts";
import { forwardedScheme } from "./forwarded.ts";

const schemeFor = (peerAddress: string, ...fields: readonly (readonly [string, string])[]) =>
  forwardedScheme({ headers: Headers.of(...fields) } as RequestHead, { peerAddress, scheme: "http" } as Ends);

test("a trusted proxy is believed, whatever field it uses", () => {
  for (const peer of ["127.0.0.1", "::1", ""]) {
    expect(schemeFor(peer)).toBe("http");
    expect(schemeFor(peer, ["X-Forwarded-Proto", "https"])).toBe("https");
    expect(schemeFor(peer, ["X-Forwarded-Proto", "HTTPS"])).toBe("https");
    expect(schemeFor(peer, ["X-Forwarded-Protocol", "ssl"])).toBe("https");
    expect(schemeFor(peer, ["X-Forwarded-SSL", "on"])).toBe("https");
    expect(schemeFor(peer, ["X-Forwarded-Proto", "http"])).toBe("http");
  }
});

test("anybody else is not", () => {
  expect(schemeFor("192.0.2.1", ["X-Forwarded-Proto", "https"])).toBe("http");
});

test("a proxy that contradicts itself gets 400", () => {
  expect(schemeFor("127.0.0.1", ["X-Forwarded-Proto", "https"], ["X-Forwarded-Ssl", "off"])).toBeUndefined();
  expect(schemeFor("127.0.0.1", ["X-Forwarded-Proto", "https"], ["X-Forwarded-Proto", "http"])).toBeUndefined();
});
