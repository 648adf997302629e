/** proxy_buffering: an upstream is read as fast as it answers, so that a slow client does not occupy it. */
import { Spool } from "../../app/spool.ts";
import type { Sink, Source } from "../../http/message.ts";

/** A body that is read ahead of its reader, into memory and then into a file without a name. */
export function readAhead(source: Source): Source {
  const sink: Sink = {
    push(bytes, last) {
      if (bytes.length > 0) spool.push(bytes);
      else if (!last) source.pull(sink);
      if (last) spool.end();
    },
    fail: (reason) => spool.fail(reason),
  };
  let ended = false;
  const spool: Spool = new Spool({
    credit: () => ended || source.pull(sink),
    cancel: (reason) => {
      ended = true;
      source.cancel(reason);
    },
  });
  source.pull(sink);
  return spool;
}
