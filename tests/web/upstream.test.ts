/** ngx_http_upstream_module and the methods of choosing servers: which server gets a request. */
import { expect, test } from "bun:test";
import { freePort, nginx } from "../support/nginx_server.ts";
import { until } from "../support/server.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const nobody = freePort();
const socket = (name: string): string => `unix:DIR/${name}.sock`;
const a = socket("a");
const b = socket("b");

const site = testSite(`
  upstream even { server ${a}; server ${b}; }
  upstream uneven { server ${a} weight=3; server ${b}; }
  upstream spare { server 127.0.0.1:${nobody} max_fails=1 fail_timeout=1h; server ${b} backup; }
  upstream off { server ${a} down; server ${b}; }
  upstream gone { server 127.0.0.1:${nobody}; server 127.0.0.1:${nobody} backup; }
  upstream shared { zone shared 64k; server ${a}; server ${b}; }
  upstream keyed { hash $arg_key consistent; server ${a}; server ${b}; }
  upstream least { least_conn; server ${a}; server ${b}; }
  upstream cookie { server ${a}; server ${b}; sticky cookie who expires=1h path=/ httponly samesite=lax; }
  upstream route { server ${a} route=one; server ${b} route=two; sticky route $arg_route; }
  upstream learn {
    server ${a}; server ${b};
    sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=learned:64k timeout=1h;
  }
  upstream checked { zone checked 64k; server ${a}; server ${b}; }
  map $arg_id $id { "" ""; default "id=$arg_id"; }
  match well { status 200; header X-Well = yes; body ~ "^fine"; }
  server {
    listen 127.0.0.1:PORT;
    location / { set $to $uri; rewrite ^/([^/]+)/ /$1 break; proxy_pass http://$1; add_header X-Tries "$upstream_addr"; }
    location /checked { proxy_pass http://checked; health_check interval=100ms uri=/health match=well; }
  }
  server {
    listen ${a};
    add_header Set-Cookie $id;
    location / { return 200 a; }
    location /health { root DIR/html; try_files /sick @well; }
    location @well { add_header X-Well yes; return 200 "fine"; }
  }
  server {
    listen ${b};
    location / { return 200 b; }
    location /health { add_header X-Well yes; return 200 "fine too"; }
  }`);

const ask = async (target: string, ...fields: string[]): Promise<string> => bodyOf(await site.get(target, ...fields));
const several = async (count: number, target: string): Promise<string> => {
  let names = "";
  for (let i = 0; i < count; i++) names += await ask(target);
  return names;
};

test("servers take turns, by their weights", async () => {
  expect(["abababab", "babababa"]).toContain(await several(8, "/even/x"));
  const names = await several(8, "/uneven/x");
  expect(names.replaceAll("b", "")).toHaveLength(6);
  expect(names).not.toContain("bb");
});

test("a spare server is asked where the others fail, and then at once", async () => {
  const response = await site.get("/spare/x");
  expect(bodyOf(response)).toBe("b");
  expect(fieldOf(response, "x-tries")).toBe(`127.0.0.1:${nobody}, unix:${site.server.directory.path}/b.sock`);
  expect(fieldOf(await site.get("/spare/x"), "x-tries")).not.toContain(String(nobody));
  await site.server.logged(/upstream server temporarily disabled while connecting to upstream/);
});

test("one that is down is not asked; where nobody is left it is a 502", async () => {
  expect(await several(3, "/off/x")).toBe("bbb");
  expect(await site.get("/gone/x")).toStartWith("HTTP/1.1 502");
  await site.get("/gone/x");
  await site.server.logged(/no live upstreams while connecting to upstream, .*upstream: "http:\/\/gone\/gone"/);
});

test("servers of a zone", async () => {
  expect((await several(6, "/shared/x")).replaceAll("b", "")).toHaveLength(3);
});

test("a key always leads to the same server", async () => {
  const names = await Promise.all([...Array(20).keys()].map((i) => several(2, `/keyed/x?key=${i}`)));
  expect([...new Set(names)].sort()).toEqual(["aa", "bb"]);
});

test("least_conn", async () => {
  expect(["ab", "ba"]).toContain(await several(2, "/least/x"));
});

test("a cookie of ours leads back to the server", async () => {
  const response = await site.get("/cookie/x");
  const cookie = fieldOf(response, "set-cookie") ?? "";
  expect(cookie).toMatch(
    /^who=[0-9a-f]{32}; expires=\w{3}, \d\d-\w{3}-\d\d \S+ GMT; max-age=3600; httponly; samesite=lax; path=\/$/,
  );
  const field = `Cookie: ${cookie.split(";")[0]}`;
  for (let i = 0; i < 4; i++) expect(await ask("/cookie/x", field)).toBe(bodyOf(response));
});

test("a route that the client names", async () => {
  expect(await several(3, "/route/x?route=two")).toBe("bbb");
  expect(await several(3, "/route/x?route=one")).toBe("aaa");
  expect((await several(4, "/route/x?route=none")).replaceAll("b", "")).toHaveLength(2);
});

test("a session that a server has begun stays with it", async () => {
  let name = "";
  while (name !== "a") name = await ask("/learn/x?id=s1");
  for (let i = 0; i < 4; i++) expect(await ask("/learn/x", "Cookie: id=s1")).toBe("a");
});

test("a server that fails its health check gets no requests until it passes again", async () => {
  site.write("sick", "not well");
  await site.server.logged(/peer is unhealthy while checking header, health check "well" of peer unix:.*a\.sock/);
  expect(await several(4, "/checked")).toBe("bbbb");
  await Bun.file(site.path("sick")).delete();
  await site.server.logged(/peer is healthy, health check "well" of peer unix:.*a\.sock/);
  await until(async () => (await several(2, "/checked")).includes("a"), "the healthy server");
});

test.each([
  ["upstream u { }", "no servers are inside upstream"],
  ["upstream u { server 127.0.0.1:1 backup; }", 'no servers in upstream "u"'],
  ["upstream u { server 127.0.0.1:1; } upstream u { server 127.0.0.1:1; }", 'duplicate upstream "u"'],
  ["upstream u { hash $uri; server 127.0.0.1:1 backup; }", 'balancing method does not support parameter "backup"'],
  ["upstream u { server 127.0.0.1:1 what=1; }", 'invalid parameter "what=1"'],
  ["upstream u { server 127.0.0.1:99999; }", 'invalid port in upstream "127.0.0.1:99999"'],
  ["upstream u { server a.example resolve; }", "resolving names at run time requires"],
  ["upstream u { zone z 64k; server a.example resolve; }", "no resolver defined to resolve names at run time"],
  ["upstream u { zone z; server 127.0.0.1:1; }", 'zero size shared memory zone "z"'],
  ["upstream u { server 127.0.0.1:1; sticky cookie; }", 'invalid number of arguments in "sticky" directive'],
  ["upstream u { server 127.0.0.1:1; sticky learn create=$a zone=z:64k; }", '"lookup" parameter is not specified'],
  ["server { location / { health_check; } }", '"health_check" needs a "proxy_pass" to an upstream'],
  ["server { location / { proxy_pass ftp://a; } }", "invalid URL prefix"],
  ["server { location ~ x { proxy_pass http://127.0.0.1:1/y; } }", '"proxy_pass" cannot have URI part'],
])("%s is refused", async (http, message) => {
  const name = `refused-${Bun.hash(http)}.conf`;
  site.server.directory.write(name, `events { } http { ${http} }`);
  const { path } = site.server.directory;
  const test = Bun.spawnSync([nginx, "-t", "-p", path, "-c", name, "-e", "refused.log"]);
  expect(test.exitCode).toBe(1);
  expect(test.stderr.toString()).toContain(message);
});
