/** Why an upstream gave no answer, or half of one: in Nginx's words, so that what reads its logs reads ours. */
import { constants } from "node:os";
import { formatAddress } from "../../base/address.ts";
import type { ConnectFailure, PeerAddress } from "../../net/connect.ts";
import { errorText } from "../../net/libc.ts";

/**
 * connect: there is no connection · timeout: nothing happened for too long · reset: the connection broke · invalid: what
 * came is no response · closed: it ended too early · refused: the upstream says that it has not looked at the request ·
 * leaving: the same, because it is about to close the connection
 */
export type FailureKind = "connect" | "timeout" | "reset" | "invalid" | "closed" | "refused" | "leaving";

/** connecting · sending: the request is not with the kernel yet · head: nothing but interim responses has come · body · tunnel */
export type Phase = "connecting" | "sending" | "head" | "body" | "tunnel";

export interface UpstreamFailure {
  readonly kind: FailureKind;
  readonly phase: Phase;
  /** For the log: what happened, and " while …". */
  readonly detail: string;
  /** The connection had carried other requests before: the upstream may have closed it just then. */
  readonly reused: boolean;
  /** Part of the request may have reached the upstream: it must not be sent again if that would do harm. */
  readonly requestSent: boolean;
}

const actions: Readonly<Record<Phase, string>> = {
  connecting: "connecting to upstream",
  sending: "sending request to upstream",
  head: "reading response header from upstream",
  body: "reading upstream",
  tunnel: "proxying upgraded connection",
};

/** `what` happened in this phase. */
export function failureText(what: string, phase: Phase): string {
  return `${what} while ${actions[phase]}`;
}

/** `connect() failed (111: Connection refused) while connecting to upstream`; what fails at once names the address, too. */
export function connectText(failure: ConnectFailure, to: PeerAddress, bind?: PeerAddress): string {
  const { call, errno, atOnce, text } = failure;
  if (text !== undefined) return text;
  let what = `${call}()`;
  if (call === "bind" && bind !== undefined) what = `bind(${formatAddress(bind)})`;
  else if (atOnce && call === "connect") what += ` to ${formatAddress(to)}`;
  return failureText(`${what} failed (${errorText(errno)})`, "connecting");
}

/** `upstream timed out (110: Connection timed out) while …` */
export function timeoutText(phase: Phase): string {
  return failureText(`upstream timed out (${errorText(constants.errno.ETIMEDOUT)})`, phase);
}

/** `recv() failed (104: Connection reset by peer) while …`; `code`: "ECONNRESET" if unknown. */
export function resetText(phase: Phase, code = "ECONNRESET"): string {
  const errno = (constants.errno as Readonly<Record<string, number>>)[code] ?? constants.errno.ECONNRESET;
  // Reading is what finds out, even while the request is being sent.
  return failureText(`recv() failed (${errorText(errno)})`, phase === "sending" ? "head" : phase);
}
