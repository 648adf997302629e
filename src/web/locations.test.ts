import { expect, test } from "bun:test";
import { prefixLocations } from "./locations.ts";
import type { Location } from "./pipeline.ts";

const location = (name: string): readonly [string, Location] => [name, { name, handlers: [], filters: [] }];
const find = prefixLocations(["/", "/static/", "/static/deep/"].map(location));

for (const [uri, name] of [
  ["/", "/"],
  ["/static", "/static/"],
  ["/static/", "/static/"],
  ["/static/a", "/static/"],
  ["/staticx", "/"],
  ["/stati", "/"],
  ["/static/deep/a", "/static/deep/"],
  ["/static/deep", "/static/deep/"],
  ["/static/deeper", "/static/"],
  ["*", "/"],
] as const) {
  test(`${uri} is in ${name}`, () => expect(find(uri).name).toBe(name));
}
