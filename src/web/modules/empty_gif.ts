/** ngx_http_empty_gif_module: a transparent image of one pixel, from memory. */
import { Headers } from "../../http/headers.ts";
import { context, type Directive, duplicate } from "../directive.ts";
import { errorReply } from "../error_page.ts";
import { defineModule } from "../module.ts";
import type { Handler } from "../pipeline.ts";

// GIF89a: a screen of 1×1 with a table of two colours; the extension that makes the second one transparent; an image of 1×1 whose
// data are, in codes of 3 bits from the low end: clear (4), colour 1, end (5).
const bytes = Buffer.from(
  ["474946383961", "01000100800100", "000000ffffff", "21f9040100000100", "2c00000000010001000002024c01003b"].join(""),
  "hex",
);

const headers = Headers.of(
  ["Content-Type", "image/gif"],
  ["Content-Length", String(bytes.length)],
  // It has never changed.
  ["Last-Modified", "Mon, 28 Sep 1970 06:00:00 GMT"],
);
headers.shared = true;

const handler: Handler = ({ method }) =>
  method === "GET" || method === "HEAD"
    ? { head: { status: 200, headers }, body: { kind: "bytes", bytes } }
    : errorReply(405, ["Allow", "GET, HEAD"]);

const row: Directive<boolean> = {
  summary: "Answers with a transparent image of one pixel.",
  syntax: "",
  contexts: context.location,
  args: 0,
  initial: false,
  inherit: "unnamed",
  parse(statement, before) {
    if (before !== undefined) throw duplicate(statement);
    return true;
  },
};

export const emptyGifModule = defineModule({
  name: "empty_gif",
  directives: { empty_gif: row },
  compile: ({ empty_gif }) => (empty_gif ? { content: handler } : {}),
});
