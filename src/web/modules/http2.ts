/** ngx_http_v2_module: HTTP/2 (RFC 9113), and how much of it a client may use. */
import { defaultH2Options } from "../../http/h2/options.ts";
import { accepted, context, everywhere, flag, number, size } from "../directive.ts";
import { defineModule } from "../module.ts";
import type { Location } from "../pipeline.ts";

const { http, server } = context;
const memory = "memory is the runtime's matter";
const noPush = "servers push nothing any more";

const obsolete = (instead: string) =>
  accepted({ contexts: http | server, args: 1, syntax: "value", deviation: `obsolete: "${instead}" is what counts` });

/** The largest frame that a length can say (RFC 9113 4.1). */
const maxChunk = 0xffffff;

export const http2Directives = {
  http2: flag({ contexts: http | server, initial: false, summary: "Whether HTTP/2 is spoken to whoever begins it." }),
  http2_max_concurrent_streams: number({
    contexts: http | server,
    initial: defaultH2Options.maxStreams,
    initialText: "128",
    summary: "How many requests of a connection may be under way at a time.",
  }),
  http2_body_preread_size: size({
    contexts: http | server,
    initial: defaultH2Options.prereadSize,
    initialText: "64k",
    summary: "How much of a body may be sent before anybody reads it.",
  }),
  http2_chunk_size: size({
    contexts: everywhere,
    initial: defaultH2Options.chunkSize,
    initialText: "8k",
    summary: "The largest piece that a response's body is sliced into.",
  }),
  http2_pool_size: accepted({ contexts: http | server, args: 1, syntax: "size", deviation: memory }),
  http2_streams_index_size: accepted({ contexts: http | server, args: 1, syntax: "number", deviation: memory }),
  http2_recv_buffer_size: accepted({ contexts: http, args: 1, syntax: "size", deviation: memory }),
  http2_max_concurrent_pushes: accepted({ contexts: http | server, args: 1, syntax: "number", deviation: noPush }),
  http2_push_preload: accepted({ contexts: everywhere, args: 1, syntax: "on | off", deviation: noPush }),
  http2_push: accepted({ contexts: everywhere, args: 1, syntax: "uri | off", deviation: noPush }),
  http2_max_requests: obsolete("keepalive_requests"),
  http2_max_field_size: obsolete("large_client_header_buffers"),
  http2_max_header_size: obsolete("large_client_header_buffers"),
  http2_recv_timeout: obsolete("client_header_timeout"),
  http2_idle_timeout: obsolete("keepalive_timeout"),
};

const chunkSize = Symbol("http2_chunk_size");

/** http2_chunk_size of a location; 0: the usual. */
export const chunkSizeIn = (location: Location): number => (location.facts?.get(chunkSize) as number | undefined) ?? 0;

export const http2Module = defineModule({
  name: "v2",
  directives: http2Directives,
  variables: {
    http2: {
      summary: `"h2" over TLS, "h2c" without, nothing for other protocols.`,
      get({ request, client }) {
        if (request.version !== 20) return undefined;
        return client.scheme === "https" ? "h2" : "h2c";
      },
    },
  },
  compile({ http2_chunk_size }) {
    if (http2_chunk_size === defaultH2Options.chunkSize) return {};
    return { facts: [chunkSize, Math.min(Math.max(http2_chunk_size, 1), maxChunk)] };
  },
});
