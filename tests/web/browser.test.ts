/** ngx_http_browser_module */
import { expect, test } from "bun:test";
import { faultOf } from "../support/configuration.ts";
import { bodyOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  modern_browser gecko 1.5;
  modern_browser msie 5.5;
  modern_browser unlisted;
  ancient_browser Lynx netscape4;
  ancient_browser_value old;
  server {
    listen 127.0.0.1:PORT;
    location / { return 200 "$modern_browser|$ancient_browser|$msie"; }
    location /other { modern_browser opera 9.0; modern_browser_value new; return 200 "$modern_browser|$ancient_browser"; }
  }`,
);

const seenAs = async (agent: string | undefined, target = "/"): Promise<string> =>
  bodyOf(agent === undefined ? await site.get(target) : await site.get(target, `User-Agent: ${agent}`));

test.each([
  ["Mozilla/5.0 (X11; U; Linux i686; rv:1.5.0.1) Gecko/20060124 Firefox/1.5.0.1", "1||"],
  ["Mozilla/5.0 (X11; U; Linux i686; rv:1.4) Gecko/20030624", "|old|"],
  ["Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "1||1"],
  ["Mozilla/4.0 (compatible; MSIE 5.0; Windows NT 5.1)", "|old|1"],
  // Opera says that it is MSIE; where it is not listed, no version of it is modern.
  ["Mozilla/4.0 (compatible; MSIE 6.0; X11; FreeBSD i386) Opera 7.50  [en]", "|old|1"],
  ["Lynx/2.8.5", "|old|"],
  ["Mozilla/4.72 [en] (X11; U; Linux)", "|old|"],
  ["curl/8.0", "1||"],
  [undefined, "1||"],
])("%s", async (agent, seen) => {
  expect(await seenAs(agent)).toBe(seen);
});

test("a location with lines of its own has only these", async () => {
  expect(await seenAs("Opera/9.01 (X11; FreeBSD 6 i386; U; en)", "/other")).toBe("new|");
  expect(await seenAs("Opera/8.5", "/other")).toBe("|old");
  expect(await seenAs("curl/8.0", "/other")).toBe("|old");
});

test.each([
  ["modern_browser links 1;", 'unknown browser name "links"'],
  ["modern_browser gecko new;", 'invalid browser version "new"'],
  ["modern_browser all;", 'invalid value "all" in "modern_browser" directive'],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
