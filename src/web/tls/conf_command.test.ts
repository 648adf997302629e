import { expect, test } from "bun:test";
import { confChanges } from "./conf_command.ts";

const changes = (...commands: readonly (readonly [string, string])[]) =>
  confChanges(
    commands.map((args) => ({ name: "ssl_conf_command", args, at: { file: "f", line: 1 }, block: undefined })),
    ["TLSv1.2", "TLSv1.3"],
  );

test("versions", () => {
  expect(changes(["MinProtocol", "TLSv1.3"])).toEqual({ versions: ["TLSv1.3"] });
  expect(changes(["MinProtocol", "TLSv1.1"])).toEqual({ versions: ["TLSv1.1", "TLSv1.2", "TLSv1.3"] });
  expect(changes(["MaxProtocol", "TLSv1.2"])).toEqual({ versions: ["TLSv1.2"] });
  expect(changes(["Protocol", "-ALL,TLSv1.2"])).toEqual({ versions: ["TLSv1.2"] });
  expect(changes(["Protocol", "TLSv1,-TLSv1.3"])).toEqual({ versions: ["TLSv1", "TLSv1.2"] });
});

test("options, the names in any case", () => {
  expect(changes(["options", "ServerPreference,-SessionTicket,PrioritizeChaCha"])).toEqual({
    ownOrder: true,
    tickets: false,
  });
  expect(changes(["Curves", "X25519"], ["CipherString", "HIGH"])).toEqual({ curves: "X25519", ciphers: "HIGH" });
});

test("what there is not", () => {
  expect(() => changes(["Nonsense", "x"])).toThrow('SSL_CONF_cmd("Nonsense", "x") failed in f:1');
  expect(() => changes(["Options", "Nonsense"])).toThrow();
  expect(() => changes(["MinProtocol", "TLSv9"])).toThrow();
});
