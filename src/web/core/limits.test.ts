import { expect, test } from "bun:test";
import { compiledSite } from "../../../tests/support/configuration.ts";

test("client_body_temp_path: below the prefix, unless it is said where", () => {
  const path = (directives: string): string =>
    compiledSite(`server { listen 80; ${directives} }`).root.limits.bodyTempPath;
  expect(path("")).toBe("/prefix/client_body_temp");
  expect(path("client_body_temp_path bodies;")).toBe("/prefix/bodies");
  expect(path("client_body_temp_path /var/bodies 1 2;")).toBe("/var/bodies");
});
