/** `satisfy`: how the modules of the access phase are combined, and `auth_delay`. */
import { ownHeaders, type Reply } from "../../http/message.ts";
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
    if (verdict instanceof Promise) return verdict.then((later) => delayed(exchange, later, auth_delay));
    return delayed(exchange, verdict, auth_delay);
  };
}

type Asked = Reply | undefined | Promise<Reply | undefined>;

function askAll(handlers: readonly AccessHandler[], exchange: Exchange, from: number): Asked {
  for (let i = from; i < handlers.length; i++) {
    const verdict = handlers[i]?.(exchange);
    if (verdict instanceof Promise)
      return verdict.then((later) => (isReply(later) ? later : askAll(handlers, exchange, i + 1)));
    if (isReply(verdict)) return verdict;
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
        isLast(later) ? replyOf(later) : askAny(handlers, exchange, i + 1, heavier(refusal, later)),
      );
    if (isLast(verdict)) return replyOf(verdict);
    refusal = heavier(refusal, verdict);
  }
  return refusal;
}

const isReply = (verdict: Verdict): verdict is Reply => verdict !== undefined && verdict !== "allow";
const replyOf = (verdict: Verdict): Reply | undefined => (isReply(verdict) ? verdict : undefined);

/** A yes, or something that has gone wrong: nobody else is asked. */
const isLast = (verdict: Verdict): boolean =>
  verdict === "allow" || (verdict !== undefined && verdict.head.status !== 403 && !asksForCredentials(verdict));

const asksForCredentials = ({ head: { status } }: Reply): boolean => status === 401 || status === 407;

function heavier(before: Reply | undefined, verdict: Verdict): Reply | undefined {
  if (!isReply(verdict) || before === undefined) return replyOf(verdict) ?? before;
  if (!asksForCredentials(verdict)) return before;
  // Who asks for credentials says which: the client may have any of them.
  const headers = ownHeaders(verdict.head);
  for (const name of ["WWW-Authenticate", "Proxy-Authenticate"])
    for (const challenge of before.head.headers.all(name.toLowerCase())) headers.add(name, challenge);
  return verdict;
}

function delayed(exchange: Exchange, refusal: Reply | undefined, delayMs: number): Asked {
  if (refusal === undefined || !asksForCredentials(refusal) || delayMs === 0) return refusal;
  exchange.log("info", "delaying unauthorized request");
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(refusal), delayMs);
    exchange.onGone = () => clearTimeout(timer);
    exchange.endsWithClient = true;
  });
}
