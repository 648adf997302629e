/** Writes the pages, and parts of pages, that are made from tables. `npm run docs` */
import { join } from "node:path";
import { directivesPage } from "../src/cli/directives_page.ts";
import { referencePage } from "../src/cli/help.ts";
import { gunicornPage } from "../tests/gunicorn/page.ts";

const root = join(import.meta.dir, "..");
await Bun.write(join(root, "docs/command-line.md"), referencePage());
await Bun.write(join(root, "docs/directives.md"), directivesPage());
await Bun.write(join(root, "docs/gunicorn.md"), await gunicornPage());

// The tables of the last complete benchmark, as the harness printed them; how each server was run is left to the file itself.
const printed = await Bun.file(join(root, "bench/results/table.md")).text();
const [tables = ""] = printed.split("\nEach server ran with");
const readme = await Bun.file(join(root, "README.md")).text();
const between = /(<!-- bench:begin -->\n)[\s\S]*(<!-- bench:end -->)/;
await Bun.write(
  join(root, "README.md"),
  readme.replace(between, (_, begin, end) => `${begin}${tables.trim()}\n${end}`),
);
