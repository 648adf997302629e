/** ngx_http_gunzip_module: for clients that cannot undo gzip, we do. */
import { ownHeaders } from "../../http/message.ts";
import { changed, sourceOf } from "../body_change.ts";
import { dropLength, weakenTag } from "../content_change.ts";
import { accepted, everywhere, flag } from "../directive.ts";
import { acceptsGzip, addVary, gzipAcceptDirectives } from "../gzip_accept.ts";
import { defineModule } from "../module.ts";
import { sliced } from "../sliced.ts";
import { gunzipper } from "../transcoder.ts";

/** gzip makes a thousand bytes of one at most: from pieces of this size come 8 MiB, which is all that is held at a time. */
const pieceBytes = 8 * 1024;

export const gunzipModule = defineModule({
  name: "gunzip",
  directives: {
    gunzip: flag({
      contexts: everywhere,
      initial: false,
      summary: "Whether gzipped responses are expanded for clients that do not accept gzip.",
    }),
    gunzip_buffers: accepted({
      contexts: everywhere,
      args: 2,
      syntax: "number size",
      deviation: "the client's pace bounds how much is expanded ahead",
    }),
  },
  compile({ gunzip }, { block }) {
    if (!gunzip) return {};
    const accept = block.conf(gzipAcceptDirectives);
    return {
      filter(exchange, reply) {
        const { head, body } = reply;
        if (head.headers.get("content-encoding")?.toLowerCase() !== "gzip") return;
        addVary(reply, accept);
        if (acceptsGzip(exchange, accept, head.headers)) return;
        dropLength(reply);
        const headers = ownHeaders(head);
        headers.delete("content-encoding");
        weakenTag(headers);
        if (exchange.request.method === "HEAD" || body.kind === "empty") return;
        const stream = gunzipper();
        exchange.atEnd(() => stream.close());
        const pieces = { kind: "stream", source: sliced(sourceOf(body), pieceBytes) } as const;
        reply.body = changed(pieces, (bytes, last) =>
          stream.transform(bytes, last).catch((error: Error) => {
            throw new Error(`inflate() failed: ${error.message}`);
          }),
        );
      },
    };
  },
});
