/** `satisfy`: how the modules of the access phase are combined, and `auth_delay`. */
import type { Reply } from "../../http/message.ts";
import { type Conf, choice, everywhere, time } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import type { AccessHandler, Handler, Verdict } from "../pipeline.ts";

export const accessDirectives = {
  satisfy: choice(["all", "any"], {
    contexts: everywhere,
    initial: "all",
    summary: "Whether all access modules must agree, or one is enough.",
  }),
  auth_delay: time({
    contexts: everywhere,
    initial: 0,
    initialText: "0s",
    summary: "How long a 401 is held back, against guessing.",
  }),
};

/** One handler for the whole phase; undefined where nothing is configured. Parts of a request were let in with it. */
export function accessPhase(
  handlers: readonly AccessHandler[],
  { satisfy, auth_delay }: Conf<typeof accessDirectives>,
): Handler | undefined {
  if (handlers.length === 0) return undefined;
  const ask = satisfy === "any" && handlers.length > 1 ? askAny : askAll;
  return (exchange) => {
    if (exchange.parent !== undefined) return undefined;
    const verdict = ask(handlers, exchange, 0);
    if (verdict instanceof Promise) return verdict.then((later) => delayed(later, auth_delay));
    return delayed(verdict, auth_delay);
  };
}

type Asked = Reply | undefined | Promise<Reply | undefined>;

function askAll(handlers: readonly AccessHandler[], exchange: Exchange, from: number): Asked {
  for (let i = from; i < handlers.length; i++) {
    const verdict = handlers[i]?.(exchange);
    if (verdict instanceof Promise)
      return verdict.then((later) => (isRefusal(later) ? later : askAll(handlers, exchange, i + 1)));
    if (isRefusal(verdict)) return verdict;
  }
  return undefined;
}

/** One yes is enough; of several refusals the client hears the one that it can do something about. */
function askAny(handlers: readonly AccessHandler[], exchange: Exchange, from: number, refused?: Reply): Asked {
  let refusal = refused;
  for (let i = from; i < handlers.length; i++) {
    const verdict = handlers[i]?.(exchange);
    if (verdict instanceof Promise)
      return verdict.then((later) =>
        later === "allow" ? undefined : askAny(handlers, exchange, i + 1, worse(refusal, later)),
      );
    if (verdict === "allow") return undefined;
    refusal = worse(refusal, verdict);
  }
  return refusal;
}

function worse(before: Reply | undefined, verdict: Verdict): Reply | undefined {
  if (!isRefusal(verdict)) return before;
  return before === undefined || verdict.head.status === 401 ? verdict : before;
}

const isRefusal = (verdict: Verdict): verdict is Reply => verdict !== undefined && verdict !== "allow";

function delayed(refusal: Reply | undefined, delayMs: number): Asked {
  if (refusal?.head.status !== 401 || delayMs === 0) return refusal;
  return new Promise((resolve) => setTimeout(() => resolve(refusal), delayMs));
}
