/** What the rows of all methods have in common. */
import type { Statement } from "../../../config/statement.ts";
import { context, type Directive, type Parsing } from "../../directive.ts";
import type { Method } from "./balancer.ts";

/** They fill one value together: the last one counts. */
export const methodSlot = "upstream method";

export function methodRow(
  row: Pick<Directive<unknown>, "summary" | "syntax" | "args">,
  parse: (statement: Statement, at: Parsing) => Method,
): Directive<Method | undefined> {
  return {
    ...row,
    contexts: context.upstream,
    initial: undefined,
    slot: methodSlot,
    parse(statement, before, at) {
      if (before !== undefined) at.setup.warn("load balancing method redefined", statement.at);
      return parse(statement, at);
    },
  };
}
