/** Exchanges, bodies and directories for tests of handlers and filters. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ErrorLog } from "../../src/base/error_log.ts";
import { Headers } from "../../src/http/headers.ts";
import type { Body, Reply, Source } from "../../src/http/message.ts";
import { CheckedRequest } from "../../src/http/request.ts";
import { Block } from "../../src/web/build.ts";
import { clientLimits, limitDirectives } from "../../src/web/core/limits.ts";
import { context } from "../../src/web/directive.ts";
import { type Client, Exchange } from "../../src/web/exchange.ts";
import { plainAccess } from "../../src/web/file_access.ts";
import { fileSource } from "../../src/web/file_source.ts";
import { normalizePath } from "../../src/web/path.ts";
import type { Location, Server } from "../../src/web/pipeline.ts";

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** ms of the exchange's clock. */
  readonly at?: number;
}

const silent: ErrorLog = { wants: () => false, log: () => {} };

/** A location in which nothing is configured. */
export const bareLocation: Location = {
  name: "test",
  rewrite: undefined,
  handlers: [],
  filters: [],
  logs: [],
  isInternal: false,
  errorPage: undefined,
  limits: clientLimits(new Block(context.main).conf(limitDirectives), 60_000, "/prefix/"),
  errorLog: silent,
  redirects: { absolute: false, serverName: false, port: false },
  contentType: () => "text/plain",
  serverToken: undefined,
  reasons: undefined,
  except: undefined,
  earlyHints: undefined,
  documents: { root: () => "/", path: (_, uri) => uri, alias: undefined, isConstant: true },
  fileAccess: plainAccess,
  facts: undefined,
};

/** A server without locations. */
export const bareServer: Server = {
  name: "localhost",
  root: bareLocation,
  handlers: [],
  find: () => undefined,
  named: () => undefined,
};

/** What a request to `target` becomes, once it has passed the engine. */
export function exchangeFor(
  target: string,
  { method = "GET", headers = {}, at = performance.now() }: RequestOptions = {},
): Exchange {
  const [path = "", query = ""] = target.split("?", 2);
  const uri = normalizePath(path);
  if (uri === undefined) throw new Error(`${target}: 400`);
  const request = new CheckedRequest(method, target, 11, Headers.of(...Object.entries(headers)));
  request.path = path;
  request.query = query;
  request.authority = "localhost";
  const client: Client = {
    peerAddress: "127.0.0.1",
    peerPort: 40_000,
    localAddress: "127.0.0.1",
    localPort: "80",
    scheme: "http",
    environ: undefined,
    number: 1,
    requests: 1,
    acceptedAt: at,
    proxy: undefined,
  };
  return new Exchange({ request, client, body: undefined, server: bareServer, startedAt: at }, uri, query);
}

/** All that a source gives, one pull after the other; rejects with the reason of a failure. */
export function drain(source: Source): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  return new Promise((resolve, reject) => {
    const pull = (): void =>
      source.pull({
        push(bytes, last) {
          // A copy: the source uses its buffer again. (A Buffer's `slice` is none.)
          pieces.push(new Uint8Array(bytes));
          if (last) resolve(Buffer.concat(pieces));
          else queueMicrotask(pull);
        },
        fail: (reason) => reject(new Error(reason)),
      });
    pull();
  });
}

/** A body's bytes as a client would get them. */
export function bodyBytes(body: Body): Promise<Buffer> {
  if (body.kind === "empty") return Promise.resolve(Buffer.alloc(0));
  if (body.kind === "bytes") return Promise.resolve(Buffer.from(body.bytes));
  return drain(body.kind === "file" ? fileSource(body) : body.source);
}

export const bodyText = async (reply: Reply): Promise<string> => (await bodyBytes(reply.body)).toString("latin1");

/** A temporary directory, links resolved, with these files in it; removed by `using`. */
export function directoryOf(
  files: Readonly<Record<string, string | Uint8Array>>,
): Disposable & { readonly path: string } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "alicorn-test-")));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
