/** The compiled configuration of one web worker: from a request's head to an Exchange in its location. */
import type { Dispatcher } from "../app/dispatch.ts";
import type { Ends, RequestHead } from "../http/message.ts";
import { errorReply } from "./error_page.ts";
import type { Exchange } from "./exchange.ts";
import { type FindLocation, prefixLocations } from "./locations.ts";
import { appPass } from "./modules/app.ts";
import { staticFiles } from "./modules/static.ts";
import { staticFilters } from "./order.ts";
import { normalizePath } from "./path.ts";
import type { Location } from "./pipeline.ts";
import type { RequestBody } from "./request_body.ts";

/** Files under a URL prefix. */
export interface StaticConf {
  /** "/static/": begins and ends with a slash. */
  readonly prefix: string;
  /** Absolute path of the directory. */
  readonly root: string;
  /** The Cache-Control field of its answers, if any. */
  readonly cacheControl?: string;
}

/** What is served where; plain data, so that the master can hand it to its workers. */
export interface SiteConf {
  readonly statics: readonly StaticConf[];
}

// One class, so that all requests have the same shape.
class SiteExchange implements Exchange {
  readonly request: RequestHead;
  readonly ends: Ends;
  readonly body: RequestBody | undefined;
  readonly uri: string;
  location: Location;
  readonly startedAt: number;
  onGone: (() => void) | undefined = undefined;

  constructor(
    request: RequestHead,
    ends: Ends,
    body: RequestBody | undefined,
    uri: string,
    location: Location,
    now: number,
  ) {
    this.request = request;
    this.ends = ends;
    this.body = body;
    this.uri = uri;
    this.location = location;
    this.startedAt = now;
  }
}

export class Site {
  readonly #find: FindLocation;
  readonly #refusing: Location = { name: "bad path", handlers: [() => errorReply(400)], filters: [] };

  constructor(conf: SiteConf, app: Dispatcher) {
    const atRoot = conf.statics.find(({ prefix }) => prefix === "/");
    this.#find = prefixLocations([
      ["/", rootLocation(atRoot, app)],
      ...conf.statics.filter((each) => each !== atRoot).map((each) => [each.prefix, staticLocation(each)] as const),
    ]);
  }

  /** Chooses the location for a request. `now`: ms of `performance.now()`. */
  open(request: RequestHead, ends: Ends, body: RequestBody | undefined, now: number): Exchange {
    const uri = request.path === "*" ? "*" : normalizePath(request.path);
    const location = uri === undefined ? this.#refusing : this.#find(uri);
    return new SiteExchange(request, ends, body, uri ?? request.path, location, now);
  }
}

function staticLocation(conf: StaticConf): Location {
  return { name: conf.prefix, handlers: [staticFiles(conf)], filters: staticFilters };
}

/** The application's; files under "/" come first, where there are any. */
function rootLocation(files: StaticConf | undefined, app: Dispatcher): Location {
  if (files === undefined) return { name: "/", handlers: [appPass(app)], filters: [] };
  return { name: "/", handlers: [staticFiles({ ...files, fallThrough: true }), appPass(app)], filters: staticFilters };
}
