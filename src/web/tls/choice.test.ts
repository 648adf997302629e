import { expect, test } from "bun:test";
import type { ClientHello } from "../../net/client_hello.ts";
import { choosePair } from "./choice.ts";

const pairs = [{ kind: "rsa" }, { kind: "ec" }];
const spoken = ["TLSv1.2", "TLSv1.3"] as const;

const hello = (parts: Partial<ClientHello>): ClientHello => ({
  serverName: undefined,
  protocols: undefined,
  versions: [0x0303],
  ciphers: [],
  groups: [],
  signatureAlgorithms: [],
  hasEarlyData: false,
  ...parts,
});

const chosen = (parts: Partial<ClientHello>, versions: Parameters<typeof choosePair>[2] = spoken): string =>
  choosePair(pairs, hello(parts), versions).kind;

test("TLS 1.3: by the signatures that the client knows, in its order", () => {
  expect(chosen({ versions: [0x0304], signatureAlgorithms: [0x0403, 0x0804] })).toBe("ec");
  expect(chosen({ versions: [0x0304], signatureAlgorithms: [0x0804, 0x0403] })).toBe("rsa");
  expect(chosen({ versions: [0x0304], signatureAlgorithms: [0x0807, 0x0403] })).toBe("ec");
});

test("before: by its ciphers", () => {
  expect(chosen({ ciphers: [0xc02b, 0xc02f] })).toBe("ec");
  expect(chosen({ ciphers: [0x1301, 0xc02f, 0xc02b] })).toBe("rsa");
  expect(chosen({ versions: [0x0304, 0x0303], ciphers: [0xc02b], signatureAlgorithms: [0x0804] }, ["TLSv1.2"])).toBe(
    "ec",
  );
});

test("who says nothing gets the first", () => {
  expect(chosen({})).toBe("rsa");
  expect(choosePair(pairs, undefined, spoken).kind).toBe("rsa");
});
