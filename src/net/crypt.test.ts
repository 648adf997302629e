import { expect, test } from "bun:test";
import { verifyPassword } from "./crypt.ts";

const right: readonly [string, string, string][] = [
  ["crypt(3), DES", "password", "sa3tHJ3/KuYvI"],
  ["crypt(3), MD5", "password", "$1$salt$qJH7.N4xYta3aEG/dfqo/0"],
  [
    "crypt(3), SHA-512",
    "password",
    "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.",
  ],
  ["bcrypt", "password", "$2y$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu"],
  ["Apache's MD5", "password", "$apr1$salt$Xxd1irWT9ycqoYxGFn4cb."],
  ["plain text", "password", "{PLAIN}password"],
  ["plain text beyond ASCII", "caf\xe9", "{PLAIN}caf\xe9"],
  ["salted SHA-1", "password", "{SSHA}yI6cZwQadOA1e+/f+T+H3eCQQhRzYWx0"],
  ["SHA-1", "password", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="],
];
for (const [what, password, hash] of right) {
  test(`${what}: the password and no other`, async () => {
    expect(await verifyPassword(password, hash)).toBeTrue();
    for (const other of ["", "Password", password.slice(1), `${password}\0x`]) {
      expect(await verifyPassword(other, hash)).toBeFalse();
    }
  });
}

// Made by `openssl passwd -apr1`: lengths on both sides of a sum's 16 bytes.
for (const [password, hash] of [
  ["", "$apr1$saltsalt$a8ml/vK5HEjiZ5oypDWA7/"],
  ["a", "$apr1$saltsalt$OEnK0QmmvoDzFw9W2yFYT/"],
  ["0123456789abcdef", "$apr1$saltsalt$noZiBycUL1t9WTQEO7/nr1"],
  ["0123456789abcdefg", "$apr1$saltsalt$zEghXWGhM0psocYwTG.hX1"],
  ["x".repeat(100), "$apr1$saltsalt$t8Bg6KAOIAvN1C1bTuHzZ0"],
] as const) {
  test(`Apache's MD5 of ${password.length} bytes`, () => {
    expect(verifyPassword(password, hash)).toBeTrue();
    expect(verifyPassword(`${password}x`, hash)).toBeFalse();
  });
}

for (const hash of [
  "",
  "*",
  "*0",
  "x",
  "$1$",
  "$apr1$",
  "$2y$05$tooshort",
  "$2y$99$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu",
  "$unknown$x$y",
  "{SSHA}",
  "{SSHA}_____wQadOA1e+/f+T+H3eCQQhRzYWx0",
  "{SSHA}Zm9vCg==",
  "{SHA}_____Mm5Pz8GgiULbPgzG37mj9g=",
  "{SHA}Zm9vCg==",
  "{PLAIN}",
]) {
  test(`nothing opens "${hash}"`, async () => {
    for (const password of ["1", "password", "*", "*0"]) expect(await verifyPassword(password, hash)).toBeFalse();
  });
}

test("bcrypt of more than 72 bytes is crypt(3)'s, which ignores the rest", async () => {
  const long = "x".repeat(80);
  const hash = await Bun.password.hash(long.slice(0, 72), { algorithm: "bcrypt", cost: 4 });
  expect(await verifyPassword(long, hash)).toBeTrue();
  expect(await verifyPassword(`y${long}`, hash)).toBeFalse();
});
