/** ngx_http_gzip_module: responses are compressed for who can undo it. */
import { ConfigError } from "../../config/statement.ts";
import { ownHeaders, type Reply } from "../../http/message.ts";
import { changed } from "../body_change.ts";
import { dropLength, weakenTag } from "../content_change.ts";
import { accepted, type Directive, everywhere, everywhereIf, flag, number, size } from "../directive.ts";
import type { Exchange } from "../exchange.ts";
import { acceptsGzip, addVary, gzipAcceptDirectives } from "../gzip_accept.ts";
import { isOfType, mimeTypes } from "../mime_types.ts";
import { defineModule } from "../module.ts";
import { gzipper } from "../transcoder.ts";
import type { VariableTable } from "../variables.ts";

const count = number({ contexts: everywhere, initial: 1, initialText: "1", summary: "How hard to try: 1 to 9." });
const level: Directive<number> = {
  ...count,
  parse(statement, before, at) {
    const value = count.parse(statement, before, at);
    if (value < 1 || value > 9) throw new ConfigError("value must be between 1 and 9", statement.at);
    return value;
  },
};

const memory = "the compressor has the memory that it needs";

const directives = {
  gzip: flag({ contexts: everywhereIf, initial: false, summary: "Whether responses are gzipped." }),
  gzip_comp_level: level,
  gzip_min_length: size({
    contexts: everywhere,
    initial: 20,
    initialText: "20",
    summary: "Shorter responses are left as they are, by their Content-Length.",
  }),
  gzip_types: mimeTypes({ summary: "The media types of responses that are gzipped, besides HTML." }),
  gzip_buffers: accepted({ contexts: everywhere, args: 2, syntax: "number size", deviation: memory }),
  gzip_window: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: memory }),
  gzip_hash: accepted({ contexts: everywhere, args: 1, syntax: "size", deviation: memory }),
  postpone_gzipping: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "size",
    deviation: "what has arrived leaves at once",
  }),
  gzip_no_buffer: accepted({
    contexts: everywhere,
    args: 1,
    syntax: "on | off",
    deviation: "what has arrived leaves at once",
  }),
};

/** Up to this size a body is compressed at once, which takes half a millisecond at most on a slow machine; larger ones by other threads. */
const maxAtOnce = 128 * 1024;

/** Bytes that went in and came out. */
interface Ratio {
  in: number;
  out: number;
}

const ratioKey = Symbol("gzip_ratio");

/** What has been compressed twice is content that is kept, and so is its gzipped form, up to this. */
const maxKeptBytes = 16 * 1024 * 1024;

class Kept {
  /** null: seen once. */
  #known = new WeakMap<Uint8Array, Uint8Array | null>();
  #bytes = 0;

  get(bytes: Uint8Array, make: () => Uint8Array): Uint8Array {
    const known = this.#known.get(bytes);
    if (known) return known;
    const made = make();
    if (known === undefined) this.#known.set(bytes, null);
    else {
      if (this.#bytes + made.length > maxKeptBytes) {
        this.#known = new WeakMap();
        this.#bytes = 0;
      }
      this.#known.set(bytes, made);
      this.#bytes += made.length;
    }
    return made;
  }
}

// By level. All locations share them, so that the bound holds for the process.
const kept = Array.from({ length: 10 }, () => new Kept());

function compress(exchange: Exchange, reply: Reply, toLevel: number): void {
  const { body } = reply;
  const ratio: Ratio = { in: 0, out: 0 };
  exchange.setNote(ratioKey, ratio);
  if (body.kind === "bytes" && body.bytes.length <= maxAtOnce) {
    const { bytes } = body;
    const made = kept[toLevel]!.get(bytes, () => gzipNow(bytes, toLevel));
    ratio.in = bytes.length;
    ratio.out = made.length;
    reply.head.headers.set("Content-Length", String(made.length));
    reply.body = { kind: "bytes", bytes: made };
    return;
  }
  // A file does not pause; from others a client may wait for what has arrived (events, a page that grows).
  const stream = gzipper(toLevel, body.kind === "stream");
  exchange.atEnd(() => stream.close());
  reply.body = changed(body, async (bytes, last) => {
    const made = await stream.transform(bytes, last);
    ratio.in += bytes.length;
    ratio.out += made.length;
    return made;
  });
}

/** libdeflate: smaller than zlib's at the same level, and hardly slower. */
const gzipNow = (bytes: Uint8Array, toLevel: number): Uint8Array =>
  Bun.gzipSync(bytes as Uint8Array<ArrayBuffer>, { level: toLevel as 1, library: "libdeflate" });

const statuses = new Set([200, 403, 404]);

function lengthOf({ head, body }: Reply): number | undefined {
  if (body.kind === "bytes") return body.bytes.length;
  if (body.kind === "file") return body.length;
  const given = head.headers.get("content-length");
  return given === undefined ? undefined : Number(given);
}

const variables: VariableTable = {
  gzip_ratio: {
    summary: "How many times larger the response was before it was gzipped.",
    get(exchange) {
      const ratio = exchange.main.note<Ratio>(ratioKey);
      return ratio === undefined || ratio.out === 0 ? undefined : (ratio.in / ratio.out).toFixed(2);
    },
  },
};

export const gzipModule = defineModule({
  name: "gzip",
  directives,
  variables,
  compile(conf, { block }) {
    if (!conf.gzip) return {};
    const accept = block.conf(gzipAcceptDirectives);
    return {
      filter(exchange, reply) {
        const { head, body } = reply;
        const { headers } = head;
        if (!statuses.has(head.status) || (headers.get("content-encoding") ?? "") !== "") return;
        const isHead = exchange.request.method === "HEAD";
        if (body.kind === "empty" && !isHead) return;
        const length = lengthOf(reply);
        if (length !== undefined && length < conf.gzip_min_length) return;
        if (!isOfType(conf.gzip_types, headers)) return;
        addVary(reply, accept);
        if (!acceptsGzip(exchange, accept, headers)) return;
        dropLength(reply);
        const own = ownHeaders(head);
        own.set("Content-Encoding", "gzip");
        weakenTag(own);
        // HEAD gets the fields of GET, but nobody compresses for it.
        if (!isHead) compress(exchange, reply, conf.gzip_comp_level);
      },
    };
  },
});
