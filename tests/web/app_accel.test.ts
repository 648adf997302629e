/** X-Accel-* fields of an application: obeyed, or left for a server in front. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { python } from "../app/support.ts";
import { root } from "../support/server.ts";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const site = testSite(
  `
  app pieces { module pieces:app; python ${python}; chdir ${join(root, "tests/swap/apps")}; workers 1; }
  server {
    listen 127.0.0.1:PORT;
    location / { app_pass pieces; }
    location /guarded-files/ { internal; alias DIR/html/; }
    location = /guarded/off.txt { app_accel off; app_pass pieces; }
    location = /long-field/5 { app_pass pieces; app_accel off; }
  }
`,
  { "report.txt": "for few eyes\n" },
);

test("on, which is the default: the file is sent, with the application's name for it", async () => {
  const got = await site.get("/guarded/report.txt");
  expect(bodyOf(got)).toBe("for few eyes\n");
  expect(fieldOf(got, "Content-Disposition")).toBe("attachment; filename=report.txt");
  expect(fieldOf(got, "X-Accel-Redirect")).toBe(undefined);
});

test("a place that no URI may name", async () => {
  expect(await site.get("/guarded/..")).toStartWith("HTTP/1.1 404");
  await site.server.logged(/unsafe URI "\/guarded-files\/\.\." was detected/);
});

test("off: the fields and the body go to who asked", async () => {
  const got = await site.get("/guarded/off.txt");
  expect(bodyOf(got)).toBe("the application's own body");
  expect(fieldOf(got, "X-Accel-Redirect")).toBe("/guarded-files/off.txt");
});

test("replies without such fields stay as they are", async () => {
  expect(fieldOf(await site.get("/long-field/5"), "X-Long")).toBe("yyyyy");
  expect(fieldOf(await site.get("/long-field/6"), "X-Long")).toBe("yyyyyy");
});
