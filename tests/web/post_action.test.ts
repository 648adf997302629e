/** post_action */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { faultOf } from "../support/configuration.ts";
import { until } from "../support/server.ts";
import { bodyOf, testSite } from "../support/site.ts";
import { ask } from "../support/socket.ts";

const site = testSite(
  `
  log_format told "$request_method $args $http_x_client $content_length";
  server {
    listen 127.0.0.1:PORT;
    location / { post_action /after; location /off { post_action off; } }
    location /named { post_action @after; }
    location /broken { post_action @nowhere; }
    location /after { return 200 HIDDEN; }
    location @after {
      proxy_pass http://127.0.0.1:PORT/told?$uri-$status-$body_bytes_sent;
      proxy_set_header X-Client $remote_addr;
      proxy_set_header Content-Length "";
      proxy_method GET;
    }
    location /told { access_log DIR/told.log told; return 204; }
  }`,
  { file: "content", off: "off", "named/file": "0123456789", broken: "broken" },
);

const told = (): string => {
  const path = site.server.path("told.log");
  return existsSync(path) ? readFileSync(path, "latin1") : "";
};

test("the client gets the answer, and nothing of what comes after it", async () => {
  expect(bodyOf(await site.get("/file"))).toBe("content");
  expect(bodyOf(await site.get("/off"))).toBe("off");
});

test("the place that is told knows what was sent", async () => {
  expect(bodyOf(await site.get("/named/file"))).toBe("0123456789");
  await until(() => told().includes("GET /named/file-200-10 127.0.0.1 -\n"), "the line in the log");
});

test("once for each request of a connection, and only then", async () => {
  const before = told().split("\n").length;
  const request = "GET /named/none HTTP/1.1\r\nHost: a\r\n";
  const answers = await ask(site.server.port, `${request}\r\n${request}Connection: close\r\n\r\n`);
  expect(answers.match(/HTTP\/1.1 404/g)?.length).toBe(2);
  await until(() => told().split("\n").length === before + 2, "two lines in the log");
  expect(told()).toMatch(/GET \/named\/none-404-\d+ 127/);
});

test("a place that does not exist", async () => {
  expect(bodyOf(await site.get("/broken"))).toBe("broken");
  await site.server.logged(/could not find named location "@nowhere"/);
});

test("post_action /a; post_action /b;", () => {
  expect(faultOf("post_action /a; post_action /b;")).toBe('"post_action" directive is duplicate');
});
