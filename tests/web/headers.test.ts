import { expect, test } from "bun:test";
import { parseHttpDate } from "../../src/base/date.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";
import { ask } from "../support/socket.ts";

const site = testSite(
  `server {
    listen 127.0.0.1:PORT;
    add_header X-Outer $uri;
    add_header X-Always "yes" always;

    location /plain { }
    location /own { alias DIR/html/plain; add_header X-Own 1; }
    location /merged { alias DIR/html/plain; add_header X-Own 1; add_header_inherit merge; }
    location /none { alias DIR/html/plain; add_header_inherit off; }
    location /special {
      alias DIR/html/plain;
      add_header Last-Modified "Mon, 28 Sep 1970 06:00:00 GMT";
      add_header ETag "";
      add_header Cache-Control private;
      add_header Cache-Control no-transform;
      add_header Content-Length 7;
    }
    location /unsafe { return 200 ok; add_header X-Arg $uri; }
    location /if { alias DIR/html/plain; if ($arg_x) { add_header X-If $arg_x; } }

    location /epoch { alias DIR/html/plain; expires epoch; }
    location /max { alias DIR/html/plain; expires max; }
    location /hour { alias DIR/html/plain; expires 1h; }
    location /past { alias DIR/html/plain; expires -1; }
    location /modified { alias DIR/html/plain; expires modified 1h; }
    location /daily { alias DIR/html/plain; expires @0h30m; }
    location /variable { alias DIR/html/plain; expires $arg_e; }

    location /trailers {
      alias DIR/html/plain;
      add_trailer X-Sum $host;
      add_trailer X-Sum again;
      add_trailer X-Empty "";
      add_trailer X-Both $sent_trailer_x_sum;
      add_trailer X-Always $status always;
    }
    location /trailers/empty { alias DIR/html/empty; add_trailer X-Sum $host; }
    location /trailers/unchunked { alias DIR/html/plain; add_trailer X-Sum $host; chunked_transfer_encoding off; }
    location /trailers/missing { add_trailer X-Sum $host; add_trailer X-Always $status always; }
  }`,
  { plain: "text", empty: "" },
);
const { get, request } = site;

test("add_header: variables; error pages have only what says always", async () => {
  const found = await get("/plain");
  expect(fieldOf(found, "X-Outer")).toBe("/plain");
  expect(fieldOf(found, "X-Always")).toBe("yes");
  const missing = await get("/missing");
  expect(missing).toStartWith("HTTP/1.1 404");
  expect(fieldOf(missing, "X-Outer")).toBeUndefined();
  expect(fieldOf(missing, "X-Always")).toBe("yes");
});

test("add_header_inherit: fields of its own replace the outer ones, or join them, or none come down", async () => {
  const own = await get("/own");
  expect([fieldOf(own, "X-Own"), fieldOf(own, "X-Always")]).toEqual(["1", undefined]);
  const merged = await get("/merged");
  expect([fieldOf(merged, "X-Own"), fieldOf(merged, "X-Always")]).toEqual(["1", "yes"]);
  const none = await get("/none");
  expect([fieldOf(none, "X-Own"), fieldOf(none, "X-Always")]).toEqual([undefined, undefined]);
  const inIf = await get("/if?x=2");
  expect([fieldOf(inIf, "X-If"), fieldOf(inIf, "X-Always")]).toEqual(["2", undefined]);
});

test("validators are replaced or removed, Cache-Control gets lines, a length is the server's own", async () => {
  const found = await get("/special");
  expect(fieldOf(found, "Last-Modified")).toBe("Mon, 28 Sep 1970 06:00:00 GMT");
  expect(fieldOf(found, "ETag")).toBeUndefined();
  expect(found.match(/^Cache-Control: .*/gm)).toHaveLength(2);
  expect(fieldOf(found, "Content-Length")).toBe("4");
  // The same for the next who gets this file.
  expect(fieldOf(await get("/special"), "ETag")).toBeUndefined();
  expect(fieldOf(await get("/plain"), "ETag")).toBeDefined();
});

test("a line end in a variable does not begin a field", async () => {
  const found = await get("/unsafe%0d%0aSet-Cookie:%20x=1");
  expect(fieldOf(found, "X-Arg")).toBe("/unsafe%0D%0ASet-Cookie: x=1");
  expect(fieldOf(found, "Set-Cookie")).toBeUndefined();
});

test("expires: fixed words, times from now, from the last change, of the day", async () => {
  const says = async (path: string) => {
    const found = await get(path);
    return [fieldOf(found, "Expires"), fieldOf(found, "Cache-Control")];
  };
  expect(await says("/plain")).toEqual([undefined, undefined]);
  expect(await says("/epoch")).toEqual(["Thu, 01 Jan 1970 00:00:01 GMT", "no-cache"]);
  expect(await says("/max")).toEqual(["Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000"]);
  expect((await says("/hour"))[1]).toBe("max-age=3600");
  expect((await says("/past"))[1]).toBe("no-cache");
  expect((await says("/daily"))[0]).toMatch(/:30:00 GMT$/);
  const modified = await get("/modified");
  const seconds = (name: string) => parseHttpDate(fieldOf(modified, name) ?? "") ?? 0;
  expect(seconds("Expires") - seconds("Last-Modified")).toBe(3600);
});

test("expires: a variable names the rule; none, or a wrong one, is off", async () => {
  expect(fieldOf(await get("/variable?e=10"), "Cache-Control")).toBe("max-age=10");
  for (const rule of ["", "off", "bad", "modified"])
    expect(fieldOf(await get(`/variable?e=${rule}`), "Cache-Control")).toBeUndefined();
});

test("add_trailer: behind a chunked body, even of known length, even of none", async () => {
  const found = await get("/trailers");
  expect(fieldOf(found, "Content-Length")).toBeUndefined();
  expect(bodyOf(found)).toBe(
    "4\r\ntext\r\n0\r\nX-Sum: localhost\r\nX-Sum: again\r\nX-Both: localhost, again\r\nX-Always: 200\r\n\r\n",
  );
  expect(bodyOf(await get("/trailers/empty"))).toBe("0\r\nX-Sum: localhost\r\n\r\n");
  expect(bodyOf(await get("/trailers/missing"))).toEndWith("0\r\nX-Always: 404\r\n\r\n");
});

test("no trailers where no chunks are: HTTP/1.0, HEAD, chunked_transfer_encoding off", async () => {
  expect(bodyOf(await get("/trailers/unchunked"))).toBe("text");
  expect(bodyOf(await request("HEAD", "/trailers"))).toBe("");
  expect(bodyOf(await ask(site.server.port, "GET /trailers HTTP/1.0\r\n\r\n"))).toBe("text");
});
