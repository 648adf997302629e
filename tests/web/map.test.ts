/** ngx_http_map_module */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { bodyOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  map $arg_a $plain {
    default other;
    "" empty;
    One first;
    \\default escaped;
    \\~tilde tilde;
    two $arg_b-$uri;
  }
  map $arg_a $none { one 1; }
  map $arg_a $regex {
    ~^(?<word>[a-z]+)-(\\d+)$ $word:$2;
    ~*^UPPER$ caseless;
    ~^x one;
    ~^xy never;
    exact first;
    ~exact second;
  }
  map $arg_host $name {
    hostnames;
    default other;
    example.com exact;
    *.example.com below;
    www.example.* tld;
    .example.org both;
    www.deep.example.com exact;
  }
  map "$arg_a$arg_b" $joined { onetwo joined; default "$arg_a and $arg_b"; }
  map $arg_a $circle { default $circle; }
  map $step $cached { 1 first; 2 second; }
  map $step $fresh { volatile; 1 first; 2 second; }
  server {
    listen 127.0.0.1:PORT;
    location /plain { return 200 $plain; }
    location /none { return 200 "<$none>"; }
    location /regex { return 200 $regex; }
    location /name { return 200 $name; }
    location /joined { return 200 $joined; }
    location /circle { return 200 "<$circle>"; }
    location /volatile { set $step 1; set $before "$cached $fresh"; set $step 2; return 200 "$before, $cached $fresh"; }
  }`,
);

const answer = async (target: string): Promise<string> => bodyOf(await site.get(target));

test("keys are compared without regard to case; values are strings with variables", async () => {
  expect(await answer("/plain?a=oNE")).toBe("first");
  expect(await answer("/plain?a=two&b=x")).toBe("x-/plain");
  expect(await answer("/plain?a=three")).toBe("other");
  expect(await answer("/plain")).toBe("empty");
  expect(await answer("/none?a=two")).toBe("<>");
});

test("a backslash in front of words with a meaning of their own", async () => {
  expect(await answer("/plain?a=default")).toBe("escaped");
  expect(await answer("/plain?a=~tilde")).toBe("tilde");
});

test("regular expressions after the plain keys, the first that matches; groups in values", async () => {
  expect(await answer("/regex?a=ab-12")).toBe("ab:12");
  expect(await answer("/regex?a=Upper")).toBe("caseless");
  expect(await answer("/regex?a=xy")).toBe("one");
  expect(await answer("/regex?a=exact")).toBe("first");
  expect(await answer("/regex?a=X")).toBe("");
});

test.each([
  ["example.com", "exact"],
  ["EXAMPLE.com.", "exact"],
  ["a.b.example.com", "below"],
  ["www.deep.example.com", "exact"],
  ["www.example.co.uk", "tld"],
  ["example.org", "both"],
  ["a.example.org", "both"],
  ["example.net", "other"],
])("names of hosts: %s", async (host, value) => {
  expect(await answer(`/name?host=${host}`)).toBe(value);
});

test("what is looked up may be put together", async () => {
  expect(await answer("/joined?a=one&b=two")).toBe("joined");
  expect(await answer("/joined?a=1&b=2")).toBe("1 and 2");
});

test("a value is remembered for the request, unless the map is volatile", async () => {
  expect(await answer("/volatile")).toBe("first first, first second");
});

test("maps that lead to each other end", async () => {
  expect(await answer("/circle")).toBe("<>");
  await site.server.logged(/cycle while evaluating variable "circle"/);
});

test.each([
  ["map $uri x { }", 'invalid variable name "x"'],
  ["map $uri $x { a; }", "invalid number of the map parameters"],
  ["map $uri $x { a 1 2; }", "invalid number of the map parameters"],
  ["map $uri $x { a { } }", 'unexpected "{"'],
  ["map $uri $x { default 1; default 2; }", "duplicate default map parameter"],
  ["map $uri $x { one 1; ONE 2; }", 'conflicting parameter "ONE"'],
  ["map $uri $x { hostnames; .a.b 1; a.b 2; }", 'conflicting parameter "a.b"'],
  ["map $uri $x { hostnames; *.*.b 1; }", 'invalid hostname or wildcard "*.*.b"'],
  ["map $uri $x { hostnames; a..b 1; }", 'invalid hostname or wildcard "a..b"'],
  ["map $uri $uri { a 1; }", 'the duplicate "uri" variable'],
  ["map $nobody $x { a 1; }", 'unknown "nobody" variable'],
  ["map $uri $x { a $nobody; }", 'unknown "nobody" variable'],
  ["map_hash_max_size 1; map_hash_bucket_size 64;", undefined],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
