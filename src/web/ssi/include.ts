/** `include`: a response of ours in the place of the command, or in a variable. */
import { type Body, HttpFailure, type Reply } from "../../http/message.ts";
import { changed, gather } from "../body_change.ts";
import type { Exchange } from "../exchange.ts";
import { maySubrequest, type Subrequest, subrequest } from "../subrequest.ts";
import { innerUri } from "../unsafe_uri.ts";
import type { Page, Params, Pause } from "./page.ts";
import { SsiFault } from "./strings.ts";
import { showStub } from "./stub.ts";

/** The response goes into memory: nothing can be included in it in turn. */
const inMemory = Symbol("in memory");

/** Throws SsiFault. */
export function include(page: Page, params: Params): Pause | undefined {
  const { virtual, file, set, stub } = params;
  if (virtual !== undefined && file !== undefined)
    throw new SsiFault(`inclusion may be either virtual="${virtual}" or file="${file}"`);
  const target = virtual ?? file;
  if (target === undefined) throw new SsiFault('no parameter in "include" SSI command');
  if (set !== undefined && stub !== undefined)
    throw new SsiFault('"set" and "stub" cannot be used together in "include" SSI command');
  const waits = mustWait(params);
  const sub = ask(page, target, stub);
  if (set !== undefined) {
    sub.exchange.setNote(inMemory, true);
    const there = remember(page, set, sub);
    // The page may take a while to come to it.
    there.catch(() => {});
    return there;
  }
  page.show(sub.reply.then(({ body }) => body));
  return waits ? "output" : undefined;
}

function mustWait({ virtual, file, wait }: Params): boolean {
  if (wait !== undefined && virtual === undefined) throw new SsiFault(`"wait" cannot be used with file="${file}"`);
  switch (wait?.toLowerCase()) {
    case undefined:
      return virtual === undefined;
    case "no":
      return false;
    case "yes":
      return true;
    default:
      throw new SsiFault(`invalid value "${wait}" in the "wait" parameter`);
  }
}

function ask(page: Page, target: string, stub: string | undefined): Subrequest {
  const { exchange, shared } = page;
  const uri = fromRoot(exchange, page.evaluate(target));
  const inner = innerUri(uri);
  if (inner === undefined) throw new SsiFault(`unsafe URI "${uri}" was detected`);
  const block = stub === undefined ? undefined : shared.blocks.find(({ name }) => name === stub);
  if (stub !== undefined && block === undefined) throw new SsiFault(`"stub"="${stub}" for "include" not found`);
  if (!maySubrequest(exchange)) throw new SsiFault(`subrequests cycle while processing "${uri}"`);
  if (isInMemory(exchange)) throw new SsiFault(`nested in-memory subrequest "${uri}"`);
  if (block === undefined) return subrequest(exchange, inner.uri, inner.args);
  const { text } = block;
  return subrequest(exchange, inner.uri, inner.args, {
    keepsErrors: true,
    before: (reply) => showStub(reply, text, exchange.reply),
  });
}

/** A relative one begins in the page's directory. */
function fromRoot({ uri }: Exchange, target: string): string {
  return target.startsWith("/") ? target : uri.slice(0, uri.lastIndexOf("/") + 1) + target;
}

const isInMemory = (exchange: Exchange): boolean => exchange.note(inMemory) === true;

async function remember({ shared }: Page, name: string, { exchange, reply }: Subrequest): Promise<void> {
  const key = name.toLowerCase();
  if (!shared.variables.has(key)) shared.variables.set(key, "");
  const found = await reply;
  const bytes = await inBuffer(exchange, found);
  if (found.head.status < 300) shared.variables.set(key, Buffer.from(bytes).toString("latin1"));
}

/** Rejects with HttpFailure if it is larger than `subrequest_output_buffer_size`: the whole page fails, as in Nginx. */
async function inBuffer(exchange: Exchange, { head, body }: Reply): Promise<Uint8Array> {
  const most = exchange.location.limits.subrequestBytes;
  const known = Number(head.headers.get("content-length") ?? "0");
  try {
    return await gather(bounded(body, most));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    exchange.log("error", message === tooBig && known > most ? `${tooBig}: ${known}` : message);
    throw new HttpFailure(502, message);
  }
}

const tooBig = "too big subrequest response";

function bounded(body: Body, most: number): Body {
  let length = 0;
  return changed(body, (bytes) => {
    length += bytes.length;
    if (length > most) throw new Error(tooBig);
    return bytes;
  });
}
