import { expect, test } from "bun:test";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const { get } = testSite(`server {
  listen 127.0.0.1:PORT;
  location / { return 404; }
  location /moved { msie_refresh on; return 302 'http://other/a"b c'; }
  location /plain { msie_padding off; return 404; }
}`);

const msie = "User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)";

test("msie_padding: pages of errors are long enough", async () => {
  const found = await get("/", msie);
  expect(bodyOf(found).length).toBeGreaterThanOrEqual(512);
  expect(Number(fieldOf(found, "Content-Length"))).toBe(bodyOf(found).length);
  expect(bodyOf(await get("/plain", msie)).length).toBe(bodyOf(await get("/")).length);
});

test("msie_refresh: a page leads on", async () => {
  const found = await get("/moved", msie);
  expect(found).toStartWith("HTTP/1.1 200");
  expect(fieldOf(found, "Location")).toBeUndefined();
  expect(bodyOf(found)).toContain('content="0; URL=http://other/a%22b%20c"');
  expect(await get("/moved")).toStartWith("HTTP/1.1 302");
});
