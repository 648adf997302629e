/** Finds the Python that the user means without having said so. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { StartError } from "../master/plan.ts";

/** The interpreter: `given` if it is, else the active virtualenv's, else one of the usual names in `directory`, else the PATH's. Throws StartError. */
export function findPython(given: string | undefined, directory: string, environment: NodeJS.ProcessEnv): string {
  if (given !== undefined) {
    const found = given.includes("/") ? resolve(given) : Bun.which(given);
    if (found === null || !existsSync(found)) throw new StartError(`there is no Python at ${given}: check --python`);
    return found;
  }
  const virtualenvs = [environment.VIRTUAL_ENV, join(directory, ".venv"), join(directory, "venv")];
  for (const each of virtualenvs) {
    const python = each === undefined ? undefined : join(each, "bin/python");
    if (python !== undefined && existsSync(python)) return python;
  }
  const found = Bun.which("python3") ?? Bun.which("python");
  if (found === null) throw new StartError("no Python found: install Python 3.9 or newer, or name it with --python");
  return found;
}
