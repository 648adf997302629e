import { describe, expect, test } from "bun:test";
import { built, faultOf, warningsOf } from "../../tests/support/configuration.ts";
import { errorDirectives } from "./core/errors.ts";
import { httpDirectives } from "./core/http.ts";
import { limitDirectives } from "./core/limits.ts";
import { mainDirectives } from "./core/main.ts";
import { context } from "./directive.ts";
import { accessModule } from "./modules/access.ts";

/** What is said about a whole configuration; undefined: nothing is wrong. */
function fault(text: string): string | undefined {
  try {
    built(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe("what stands where it may not, or is none", () => {
  for (const [text, message] of [
    ["nonsense on;", 'unknown directive "nonsense" in test.conf:1'],
    ["\n\nnonsense { }", 'unknown directive "nonsense" in test.conf:3'],
    ["listen 80;", '"listen" directive is not allowed here in test.conf:1'],
    ["events { } http { server { http { } } }", '"http" directive is not allowed here in test.conf:1'],
    ["events { } http { worker_processes 1; }", '"worker_processes" directive is not allowed here in test.conf:1'],
    ["events { sendfile on; }", '"sendfile" directive is not allowed here in test.conf:1'],
    ["events { }\nhttp {\nroot /a /b;\n}", 'invalid number of arguments in "root" directive in test.conf:3'],
    ["worker_processes;", 'invalid number of arguments in "worker_processes" directive in test.conf:1'],
    ["events on { }", 'invalid number of arguments in "events" directive in test.conf:1'],
    ["http;", 'directive "http" has no opening "{" in test.conf:1'],
    ["worker_processes 1 { }", 'directive "worker_processes" is not terminated by ";" in test.conf:1'],
    ["worker_processes 1;\nworker_processes 1;", '"worker_processes" directive is duplicate in test.conf:2'],
  ] as const)
    test(text.replaceAll("\n", " ").trim(), () => expect(fault(text)).toBe(message));
});

test("what Nginx has and we do not is told with the reason", () => {
  expect(fault("perl_modules lib;")).toMatch(
    /^directive "perl_modules" is Nginx's, but Alicorn does not have it: .*Perl.*; in test\.conf:1$/,
  );
});

describe("values that are none", () => {
  for (const [http, message] of [
    ["sendfile maybe;", 'invalid value "maybe" in "sendfile" directive, it must be "on" or "off"'],
    ["client_body_buffer_size 1x;", '"client_body_buffer_size" directive invalid value'],
    ["client_max_body_size -1;", '"client_max_body_size" directive invalid value'],
    ["send_timeout soon;", '"send_timeout" directive invalid value'],
    ["keepalive_requests many;", '"keepalive_requests" directive invalid number'],
    ["lingering_close never;", 'invalid value "never"'],
    ["satisfy none;", 'invalid value "none"'],
    ["sendfile on; sendfile on;", '"sendfile" directive is duplicate'],
    ["server { location / { } location / { } }", 'duplicate location "/"'],
    ["server { location = /a { location /a/b { } } }", 'location "/a/b" cannot be inside the exact location "/a"'],
    ["server { location /a { location /b { } } }", 'location "/b" is outside location "/a"'],
    ["server { location /a { location @b { } } }", 'named location "@b" can be on the server level only'],
    ["server { location ! / { } }", 'invalid location modifier "!"'],
    ["server { listen 80; listen 80; }", "a duplicate listen 0.0.0.0:80"],
    [
      "server { listen 80 default_server; } server { listen 80 default_server; }",
      "a duplicate default server for 0.0.0.0:80",
    ],
    ["server { server_name a.*.b; }", 'invalid server name or wildcard "a.*.b" on server level'],
    ['server { server_name "~("; }', 'pcre2_compile() failed: missing closing parenthesis in "("'],
    ["server { location / { limit_except BREW { deny all; } } }", 'invalid method "BREW"'],
    ['server { location / { return 200 "$nobodys"; } }', 'unknown "nobodys" variable'],
    ['server { location / { return 200 "a$"; } }', "invalid variable name"],
  ] as const)
    test(http, () => expect(faultOf(http)).toBe(message));
});

test("words of values are known in whatever case", () => {
  expect(faultOf("sendfile ON; satisfy Any; lingering_close Off; client_body_buffer_size 1K;")).toBeUndefined();
});

test("the same name at the same address is no mistake, but the first has it", () => {
  expect(warningsOf("server { listen 80; server_name a b; } server { listen 80; server_name b; }")).toEqual([
    'conflicting server name "b" on 0.0.0.0:80, ignored',
  ]);
});

describe("inheritance", () => {
  const { main, servers } = built(`
    worker_processes 3;
    events { }
    http {
      send_timeout 5s;
      client_max_body_size 7;
      error_page 404 /outer;
      allow 192.0.2.1;
      server {
        send_timeout 6s;
        location / {
          client_max_body_size 8;
          location /deep/ { internal; allow 192.0.2.2; deny all; error_page 500 /inner; error_page 502 /inner; }
          if ($args) { }
          limit_except GET { deny all; }
        }
        location = /internal { internal; if ($args) { } }
      }
      server { }
    }`);
  const [first, second] = servers;
  if (first === undefined || second === undefined) throw new Error("two servers were expected");
  const [slash, exact] = first.childrenOf(context.location);
  if (slash === undefined || exact === undefined) throw new Error("two locations were expected");
  const [deep] = slash.childrenOf(context.location);
  const [condition] = slash.childrenOf(context.locationIf);
  const [others] = slash.childrenOf(context.limitExcept);

  test("the nearest block that says something, else its default", () => {
    const values = [first, second, slash, deep].map((block) => {
      const { send_timeout, client_max_body_size, keepalive_requests } = block?.conf(limitDirectives) ?? {};
      return [send_timeout, client_max_body_size, keepalive_requests];
    });
    expect(values).toEqual([
      [6000, 7, 1000],
      [5000, 7, 1000],
      [6000, 8, 1000],
      [6000, 8, 1000],
    ]);
    expect(main.conf(mainDirectives).worker_processes).toBe(3);
  });

  test("lists come down whole, or not at all", () => {
    const pages = (block: typeof deep) => block?.conf(errorDirectives).error_page.map(({ status }) => status);
    expect([pages(slash), pages(deep)]).toEqual([[404], [500, 502]]);
    const rules = (block: typeof deep) => JSON.stringify(block?.conf(accessModule.directives));
    expect(rules(slash)).toBe(rules(first));
    expect(rules(deep)).not.toBe(rules(slash));
    expect(rules(second)).toBe(rules(first));
  });

  test("`if` and `limit_except` inherit what holds around them; `internal` is of one location alone", () => {
    expect([condition, others].map((block) => block?.conf(limitDirectives).client_max_body_size)).toEqual([8, 8]);
    expect([exact, slash, deep].map((block) => block?.conf(httpDirectives).internal)).toEqual([true, false, true]);
    expect([exact, condition, others].map((block) => block?.isUnnamed)).toEqual([false, true, true]);
  });

  test("each block knows where it begins, and is asked once", () => {
    expect(deep?.at).toMatchObject({ file: "test.conf", line: 13 });
    expect(deep?.conf(limitDirectives)).toBe(deep?.conf(limitDirectives));
  });
});
