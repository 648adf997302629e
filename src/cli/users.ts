/** Users and groups of the machine, for the directive `user`. */
import { readFileSync } from "node:fs";
import type { UserPlan } from "../worker/plan.ts";

/** A user by name, in a group (without one: the group of the same name, as with Nginx); a sentence instead if there is no such. */
export function findUser(name: string, group: string | undefined): UserPlan | string {
  const user = rowOf("/etc/passwd", name);
  if (user === undefined) return `getpwnam("${name}") failed`;
  const found = rowOf("/etc/group", group ?? name);
  if (found === undefined) return `getgrnam("${group ?? name}") failed`;
  return { name, uid: Number(user[2]), gid: Number(found[2]) };
}

/** Who web workers are if nobody says: no one in particular. */
export function nobody(): UserPlan | string {
  const user = rowOf("/etc/passwd", "nobody");
  return user === undefined
    ? 'getpwnam("nobody") failed'
    : { name: "nobody", uid: Number(user[2]), gid: Number(user[3]) };
}

/** The fields of the line that begins with the name. */
function rowOf(path: string, name: string): string[] | undefined {
  for (const line of linesOf(path)) {
    const fields = line.split(":");
    if (fields[0] === name) return fields;
  }
  return undefined;
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "latin1").split("\n");
  } catch {
    return [];
  }
}
