/** `error_log` in all blocks */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { faultOf } from "../support/configuration.ts";
import { until } from "../support/server.ts";
import { testSite } from "../support/site.ts";

const site = testSite(`
  server {
    listen 127.0.0.1:PORT;
    error_log DIR/server.log;
    location /inherited { }
    location /own { error_log DIR/own.log crit; error_log DIR/all.log info; }
    location /quiet { error_log DIR/quiet.log crit; }
  }`);

const logOf = (name: string): string => {
  const path = site.server.path(name);
  return existsSync(path) ? readFileSync(path, "latin1") : "";
};

test("a location's own logs replace those around it; each has its level", async () => {
  await site.get("/quiet");
  await site.get("/inherited");
  await site.get("/own");
  await until(() => logOf("all.log").includes("/own"), "the line");
  await until(() => logOf("server.log").includes("/inherited"), "the line of the server");
  expect(logOf("server.log")).toMatch(
    /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[error\] \d+#0: \*\d+ open\(\) ".*\/inherited" failed \(2: No such file or directory\), client: 127\.0\.0\.1, server: , request: "GET \/inherited HTTP\/1\.1", host: "localhost"\n$/,
  );
  expect([logOf("quiet.log"), logOf("own.log")]).toEqual(["", ""]);
});

test.each([
  ["error_log /a loud;", 'invalid log level "loud"'],
  ["error_log /a warn error;", 'duplicate log level "error"'],
  ["error_log /a debug_http debug_event;", undefined],
  ["error_log syslog:server=127.0.0.1,facility=x;", 'unknown syslog facility "x"'],
  ["error_log memory:32m debug;", "logs to memory are Nginx's for debugging; Alicorn does not have them"],
])("%s", (http, fault) => {
  expect(faultOf(http)).toBe(fault);
});
