/** ngx_http_secure_link_module */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { faultOf } from "../support/configuration.ts";
import { bodyOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  server {
    listen 127.0.0.1:PORT;
    location / {
      secure_link $arg_hash;
      secure_link_md5 "secret$uri";
      return 200 "<$secure_link>";
    }
    location /expires {
      secure_link $arg_hash,$arg_expires;
      secure_link_md5 "secret$arg_expires";
      return 200 "<$secure_link $secure_link_expires>";
    }
    location /p/ { secure_link_secret word; return 200 "<$secure_link>"; }
    location /p/new {
      secure_link $arg_hash;
      secure_link_md5 x;
      return 200 "<$secure_link>";
    }
    location /half { secure_link_secret word; location /half/way { secure_link $arg_hash; return 200 "<$secure_link>"; } }
  }`,
);

const md5 = (text: string, encoding: "base64url" | "base64" | "hex"): string =>
  createHash("md5").update(text).digest(encoding);
const answer = async (target: string): Promise<string> => bodyOf(await site.get(target));

test("a hash of what the configuration says", async () => {
  const hash = md5("secret/file", "base64url");
  expect(await answer(`/file?hash=${hash}`)).toBe("<1>");
  expect(await answer(`/file?hash=${hash}==`)).toBe("<1>");
  expect(await answer(`/other?hash=${hash}`)).toBe("<>");
  expect(await answer(`/file?hash=${hash.slice(1)}`)).toBe("<>");
  expect(await answer(`/file?hash=${hash}xx`)).toBe("<>");
  expect(await answer("/file")).toBe("<>");
});

test("links with an end", async () => {
  const at = (expires: number | string) =>
    answer(`/expires?hash=${md5(`secret${expires}`, "base64url")}&expires=${expires}`);
  const later = Math.floor(Date.now() / 1000) + 1000;
  expect(await at(later)).toBe(`<1 ${later}>`);
  expect(await at(1000)).toBe("<0 1000>");
  expect(await at(0)).toBe("< >");
  expect(await at("soon")).toBe("< >");
  expect(await answer(`/expires?hash=wrong&expires=${later}`)).toBe(`< ${later}>`);
});

test("links behind their hash", async () => {
  expect(await answer(`/p/${md5("a/file?qword", "hex")}/a/file?q`)).toBe("<a/file?q>");
  expect(await answer(`/p/${md5("fileword", "hex").toUpperCase()}/file`)).toBe("<file>");
  expect(await answer(`/p/${md5("fileword", "hex")}/other`)).toBe("<>");
  expect(await answer(`/p/${md5("word", "hex")}/`)).toBe("<>");
  expect(await answer("/p/x/file")).toBe("<>");
});

test("an inner location may choose the other way", async () => {
  expect(await answer(`/p/new?hash=${md5("x", "base64url")}`)).toBe("<1>");
  expect(await answer(`/half/way?hash=${md5("x", "base64url")}`)).toBe("<>");
});

test.each([
  [
    "secure_link x; secure_link_secret y;",
    '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"',
  ],
  [
    "secure_link_secret y; secure_link_md5 x;",
    '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"',
  ],
  ["secure_link x; secure_link y;", '"secure_link" directive is duplicate'],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
