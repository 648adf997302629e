/** Files without a content handler: ngx_http_static_module, index, root and alias, open_file_cache, disable_symlinks, empty_gif. */
import { describe, expect, test } from "bun:test";
import { rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  types { text/html html; text/css css; }
  default_type application/x-other;
  server {
    listen 127.0.0.1:PORT;
    server_name localhost;
    location /no-etag/ { etag off; alias DIR/html/; }
    location /quiet/ { log_not_found off; }
    location /alias/ { alias DIR/html/sub/; }
    location ~ ^/regex/(.+)$ { alias DIR/html/$1; }
    location /by-host/ { root DIR/html/$arg_root; }
    location /rewritten/ { alias DIR/html/; rewrite ^ /page.html break; }
    location /names/ { index absent.html $arg_index.css page.html; alias DIR/html/; }
    location /elsewhere/ { index /page.html; }
    location /cached/ { open_file_cache max=10; open_file_cache_errors on; alias DIR/html/cached/; }
    location /links/ { disable_symlinks on from=DIR/html; alias DIR/html/; }
    location /gif { empty_gif; }
    location / { }
  }`,
  {
    "page.html": "a page",
    "sub/index.html": "an index",
    "sub/style.css": "style",
    empty: "",
    "na\xefve \xd1\x84.html": "bytes",
    "large.bin": "0123456789".repeat(20_000),
    "bare/": "",
    "elsewhere/": "",
    "names/": "",
    ".hidden": "shown",
    "cached/known": "old",
    "by-host/x": "plain root",
    "other/by-host/x": "root by variable",
  },
);

describe("a file", () => {
  test("has its type, length, date and tag", async () => {
    utimesSync(site.path("sub/style.css"), 1_000_000_000, 1_000_000_000.5);
    const response = await site.get("/sub/style.css");
    expect(response).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(fieldOf(response, "content-type")).toBe("text/css");
    expect(fieldOf(response, "content-length")).toBe("5");
    expect(fieldOf(response, "last-modified")).toBe("Sun, 09 Sep 2001 01:46:40 GMT");
    expect(fieldOf(response, "etag")).toBe('"3b9aca00-5"');
    expect(fieldOf(response, "accept-ranges")).toBe("bytes");
    expect(bodyOf(response)).toBe("style");
  });

  test("has no tag with etag off", async () => {
    const response = await site.get("/no-etag/page.html");
    expect(bodyOf(response)).toBe("a page");
    expect(fieldOf(response, "etag")).toBeUndefined();
  });

  test("may have any name: bytes above 0x7f, blanks, a dot at the beginning", async () => {
    expect(bodyOf(await site.get("/na%EFve%20%D1%84.html"))).toBe("bytes");
    const hidden = await site.get("/.hidden");
    expect(bodyOf(hidden)).toBe("shown");
    expect(fieldOf(hidden, "content-type")).toBe("application/x-other");
  });

  test("is sent whole, in parts, and not at all for HEAD", async () => {
    expect(bodyOf(await site.get("/large.bin"))).toHaveLength(200_000);
    const part = await site.get("/large.bin", "Range: bytes=99990-100002");
    expect(part).toStartWith("HTTP/1.1 206 ");
    expect(bodyOf(part)).toBe("0123456789012");
    const head = await site.request("HEAD", "/large.bin");
    expect(fieldOf(head, "content-length")).toBe("200000");
    expect(bodyOf(head)).toBe("");
    expect(bodyOf(await site.get("/empty"))).toBe("");
  });

  test("that changes is sent as it is now, and one that is removed is gone", async () => {
    site.write("changing", "one");
    expect(bodyOf(await site.get("/changing"))).toBe("one");
    site.write("changing", "two");
    expect(bodyOf(await site.get("/changing"))).toBe("two");
    unlinkSync(site.path("changing"));
    expect(await site.get("/changing")).toStartWith("HTTP/1.1 404 ");
  });

  test("is not posted to; other methods are refused anywhere", async () => {
    expect(await site.request("POST", "/page.html", "Content-Length: 0")).toStartWith("HTTP/1.1 405 ");
    expect(await site.request("POST", "/missing", "Content-Length: 0")).toStartWith("HTTP/1.1 404 ");
    expect(await site.request("DELETE", "/missing")).toStartWith("HTTP/1.1 405 ");
  });
});

describe("what is no file", () => {
  test("is missing, and the log tells which", async () => {
    expect(await site.get("/nothing/here")).toStartWith("HTTP/1.1 404 ");
    await site.server.logged(
      /\[error\] \d+#0: \*\d+ open\(\) "\S+\/html\/nothing\/here" failed \(2: No such file or directory\)/,
    );
    expect(await site.get("/page.html/x")).toStartWith("HTTP/1.1 404 ");
    await site.server.logged(/page\.html\/x" failed \(20: Not a directory\)/);
  });

  test("is not logged with log_not_found off", async () => {
    expect(await site.get("/quiet/nothing")).toStartWith("HTTP/1.1 404 ");
    expect(await site.get("/loud/nothing")).toStartWith("HTTP/1.1 404 ");
    await site.server.logged(/loud\/nothing" failed/);
    expect(site.server.log).not.toContain("quiet/nothing");
  });

  test("a directory is asked for with a slash, arguments kept", async () => {
    const response = await site.get("/sub?a=b%20c");
    expect(response).toStartWith("HTTP/1.1 301 ");
    expect(fieldOf(response, "location")).toBe(`http://localhost:${site.server.port}/sub/?a=b%20c`);
  });

  test("a device, a FIFO, a socket is not read", async () => {
    Bun.spawnSync(["mkfifo", site.path("fifo")]);
    expect(await site.get("/fifo")).toStartWith("HTTP/1.1 404 ");
    await site.server.logged(/\[crit\] .*\/fifo" is not a regular file/);
  });
});

describe("index", () => {
  test("index.html, unless told otherwise", async () => {
    const response = await site.get("/sub/");
    expect(bodyOf(response)).toBe("an index");
    expect(fieldOf(response, "content-type")).toBe("text/html");
  });

  test("the first that is there; names may have variables; an absolute one is a path of its own", async () => {
    expect(bodyOf(await site.get("/names/"))).toBe("a page");
    expect(bodyOf(await site.get("/names/?index=sub/style"))).toBe("style");
    expect(bodyOf(await site.get("/elsewhere/"))).toBe("a page");
  });

  test("a directory without one is forbidden, a missing one is missing", async () => {
    expect(await site.get("/bare/")).toStartWith("HTTP/1.1 403 ");
    await site.server.logged(/directory index of "\S+\/html\/bare\/" is forbidden/);
    expect(await site.get("/nowhere/")).toStartWith("HTTP/1.1 404 ");
    await site.server.logged(/"\S+\/html\/nowhere\/index\.html" is not found \(2: No such file or directory\)/);
    expect(await site.get("/page.html/")).toStartWith("HTTP/1.1 404 ");
    await site.server.logged(/page\.html\/index\.html" is not found \(20: Not a directory\)/);
  });
});

describe("root and alias", () => {
  test("an alias stands for the location's path, an expression's says it all", async () => {
    expect(bodyOf(await site.get("/alias/style.css"))).toBe("style");
    expect(bodyOf(await site.get("/alias/"))).toBe("an index");
    expect(bodyOf(await site.get("/regex/sub/style.css"))).toBe("style");
  });

  test("a root may have variables: each of its directories has its own files", async () => {
    expect(bodyOf(await site.get("/by-host/x"))).toBe("plain root");
    expect(bodyOf(await site.get("/by-host/x?root=other"))).toBe("root by variable");
    expect(bodyOf(await site.get("/by-host/x"))).toBe("plain root");
  });

  test("an alias has no meaning where its part of the URI has been rewritten", async () => {
    expect(await site.get("/rewritten/page.html")).toStartWith("HTTP/1.1 500 ");
    await site.server.logged(/"alias" cannot be used in location "\/rewritten\/" where URI was rewritten/);
  });
});

test("open_file_cache believes what it has seen, with open_file_cache_errors what is missing as well", async () => {
  expect(await site.get("/cached/new")).toStartWith("HTTP/1.1 404 ");
  writeFileSync(site.path("cached/new"), "new");
  expect(await site.get("/cached/new")).toStartWith("HTTP/1.1 404 ");
  expect(await site.get("/cached/new", "Host: other")).toStartWith("HTTP/1.1 4");
  expect(bodyOf(await site.get("/cached/known"))).toBe("old");
});

test("disable_symlinks refuses links, but not those on the way to `from`", async () => {
  symlinkSync("page.html", site.path("link.html"));
  symlinkSync("sub", site.path("linked"));
  try {
    expect(bodyOf(await site.get("/link.html"))).toBe("a page");
    expect(await site.get("/links/link.html")).toStartWith("HTTP/1.1 403 ");
    await site.server.logged(/openat\(\) "\S+\/link\.html" failed \(40: Too many levels of symbolic links\)/);
    expect(await site.get("/links/linked/style.css")).toMatch(/^HTTP\/1\.1 40[34] /);
    expect(bodyOf(await site.get("/links/sub/style.css"))).toBe("style");
  } finally {
    rmSync(site.path("link.html"));
    rmSync(site.path("linked"));
  }
});

test("empty_gif", async () => {
  const response = await site.get("/gif");
  expect(fieldOf(response, "content-type")).toBe("image/gif");
  expect(bodyOf(response)).toStartWith("GIF89a\x01\0\x01\0");
  expect(bodyOf(response)).toEndWith(";");
  expect(fieldOf(response, "content-length")).toBe(String(bodyOf(response).length));
  expect(await site.request("POST", "/gif", "Content-Length: 0")).toStartWith("HTTP/1.1 405 ");
});
