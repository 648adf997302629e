/** Writes the pages that are made from tables. `npm run docs` */
import { join } from "node:path";
import { referencePage } from "../src/cli/help.ts";

await Bun.write(join(import.meta.dir, "../docs/command-line.md"), referencePage());
