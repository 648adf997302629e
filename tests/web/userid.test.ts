import { expect, test } from "bun:test";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const { get } = testSite(
  `server {
    listen 127.0.0.1:PORT;
    add_header Got $uid_got always;
    add_header Set $uid_set always;
    userid_path /;
    location /on { return 200 on; userid on; }
    location /v1 { return 200 v1; userid v1; userid_service 7; }
    location /log { return 200 log; userid log; }
    location /off { return 200 off; }
    location /all {
      return 200 all;
      userid on;
      userid_name id;
      userid_domain example.com;
      userid_path /all;
      userid_expires max;
      userid_p3p 'policyref="/w3c/p3p.xml"';
      userid_flags secure httponly samesite=lax;
      userid_service 258;
    }
    location /mark { return 200 mark; userid on; userid_mark t; }
    location /expires { return 200 expires; userid on; userid_expires 1d; }
    location /reset { set $uid_reset $arg_r; return 200 reset; userid on; }
  }`,
);

/** The bytes of a cookie's value. */
const bytesOf = (response: string): Buffer =>
  Buffer.from(/^\w+=([^;]*)/.exec(fieldOf(response, "Set-Cookie") ?? "")?.[1] ?? "", "base64");

/** As $uid_got shows them: four numbers of the machine's byte order. */
const numbers = (bytes: Buffer): string =>
  [0, 4, 8, 12].map((at) => bytes.readUInt32LE(at).toString(16).toUpperCase().padStart(8, "0")).join("");

test("a new client gets a cookie of address, time, process and count", async () => {
  const found = await get("/on");
  expect(bodyOf(found)).toBe("on");
  expect(fieldOf(found, "Set-Cookie")).toMatch(/^uid=[A-Za-z0-9+/]{22}==; path=\/$/);
  const bytes = bytesOf(found);
  expect([...bytes.subarray(0, 4)]).toEqual([127, 0, 0, 1]);
  expect(fieldOf(found, "Set")).toBe(`uid=${numbers(bytes)}`);
  expect(fieldOf(found, "Got")).toBeUndefined();
  expect(bytesOf(await get("/on"))).not.toEqual(bytes);
});

test("a known client gets none; log only notes it; off does not look", async () => {
  const bytes = bytesOf(await get("/on"));
  const cookie = `Cookie: other=1; uid=${bytes.toString("base64")}; more=2`;
  for (const path of ["/on", "/log"]) {
    const found = await get(path, cookie);
    expect(fieldOf(found, "Set-Cookie")).toBeUndefined();
    expect(fieldOf(found, "Got")).toBe(`uid=${numbers(bytes)}`);
    expect(fieldOf(found, "Set")).toBeUndefined();
  }
  expect(fieldOf(await get("/log"), "Set-Cookie")).toBeUndefined();
  expect(fieldOf(await get("/off", cookie), "Got")).toBeUndefined();
});

test("v1 has the machine's byte order", async () => {
  expect(bytesOf(await get("/v1")).readUInt32LE(0)).toBe(7);
});

test("name, service, domain, path, expiry, flags and P3P", async () => {
  const found = await get("/all");
  expect(fieldOf(found, "Set-Cookie")).toMatch(
    /^id=\S{24}; expires=Thu, 31-Dec-37 23:55:55 GMT; domain=example\.com; path=\/all; secure; httponly; samesite=lax$/,
  );
  expect([...bytesOf(found).subarray(0, 4)]).toEqual([0, 0, 1, 2]);
  expect(fieldOf(found, "P3P")).toBe('policyref="/w3c/p3p.xml"');
  expect(fieldOf(await get("/expires"), "Set-Cookie")).toMatch(/; expires=\w{3}, \d\d-\w{3}-\d\d \d\d:\d\d:\d\d GMT;/);
});

test("a cookie without the mark is sent anew with it", async () => {
  const value = bytesOf(await get("/on"))
    .toString("base64")
    .slice(0, 22);
  expect(fieldOf(await get("/mark", `Cookie: uid=${value}==`), "Set-Cookie")).toBe(`uid=${value}t=; path=/`);
  expect(fieldOf(await get("/mark", `Cookie: uid=${value}t=`), "Set-Cookie")).toBeUndefined();
});

test("$uid_reset: a new identifier for a known client", async () => {
  const old = bytesOf(await get("/on"));
  const cookie = `Cookie: uid=${old.toString("base64")}`;
  expect(fieldOf(await get("/reset?r=0", cookie), "Set-Cookie")).toBeUndefined();
  const reset = await get("/reset?r=1", cookie);
  expect(bytesOf(reset)).toHaveLength(16);
  expect(bytesOf(reset)).not.toEqual(old);
});

test("what is no identifier counts as none", async () => {
  for (const value of ["short", "?".repeat(24), `${"A".repeat(22)}==`])
    expect(bytesOf(await get("/on", `Cookie: uid=${value}`))).toHaveLength(16);
});
