/**
 * The modules, in an order that one can read: within each phase handlers run in it, filters see a reply in it on its way from
 * the handler to the socket. It is Nginx's.
 */
import type { Directives } from "./directive.ts";
import type { Module } from "./module.ts";
import { accessModule } from "./modules/access.ts";
import { additionBodyModule, additionModule } from "./modules/addition.ts";
import { appModule } from "./modules/app.ts";
import { authBasicModule } from "./modules/auth_basic.ts";
import { authRequestModule } from "./modules/auth_request.ts";
import { autoindexModule } from "./modules/autoindex.ts";
import { browserModule } from "./modules/browser.ts";
import { charsetModule } from "./modules/charset.ts";
import { coreModule } from "./modules/core.ts";
import { coreResponseModule } from "./modules/core_response.ts";
import { emptyGifModule } from "./modules/empty_gif.ts";
import { fastcgiModule } from "./modules/fastcgi.ts";
import { filesModule } from "./modules/files.ts";
import { geoModule } from "./modules/geo.ts";
import { grpcModule } from "./modules/grpc.ts";
import { gunicornLogModule } from "./modules/gunicorn_log.ts";
import { gunzipModule } from "./modules/gunzip.ts";
import { gzipModule } from "./modules/gzip.ts";
import { gzipStaticModule } from "./modules/gzip_static.ts";
import { headersModule } from "./modules/headers.ts";
import { http2Module } from "./modules/http2.ts";
import { indexModule } from "./modules/index.ts";
import { limitConnModule } from "./modules/limit_conn.ts";
import { limitReqModule } from "./modules/limit_req.ts";
import { logModule } from "./modules/log.ts";
import { mapModule } from "./modules/map.ts";
import { memcachedModule } from "./modules/memcached.ts";
import { mirrorModule } from "./modules/mirror.ts";
import { msieModule } from "./modules/msie.ts";
import { notModifiedModule } from "./modules/not_modified.ts";
import { postActionModule } from "./modules/post_action.ts";
import { proxyModule } from "./modules/proxy.ts";
import { randomIndexModule } from "./modules/random_index.ts";
import { rangeModule } from "./modules/range.ts";
import { realipModule } from "./modules/realip.ts";
import { refererModule } from "./modules/referer.ts";
import { rewriteModule } from "./modules/rewrite.ts";
import { scgiModule } from "./modules/scgi.ts";
import { secureLinkModule } from "./modules/secure_link.ts";
import { sliceModule } from "./modules/slice.ts";
import { splitClientsModule } from "./modules/split_clients.ts";
import { ssiModule } from "./modules/ssi.ts";
import { sslModule } from "./modules/ssl.ts";
import { staticModule } from "./modules/static.ts";
import { stubStatusModule } from "./modules/stub_status.ts";
import { subFilterModule } from "./modules/sub_filter.ts";
import { tryFilesModule } from "./modules/try_files.ts";
import { tunnelModule } from "./modules/tunnel.ts";
import { upstreamModule } from "./modules/upstream.ts";
import { upstreamHcModule } from "./modules/upstream_hc.ts";
import { useridModule } from "./modules/userid.ts";
import { uwsgiModule } from "./modules/uwsgi.ts";

export const modules: readonly Module<Directives>[] = [
  // Variables of the request; no phase of its own.
  coreModule,
  sslModule,
  http2Module,
  mapModule,
  geoModule,
  splitClientsModule,
  browserModule,
  refererModule,
  secureLinkModule,
  // Phases: post-read, rewrite, preaccess, access, precontent.
  realipModule,
  rewriteModule,
  limitReqModule,
  limitConnModule,
  accessModule,
  authBasicModule,
  authRequestModule,
  tryFilesModule,
  mirrorModule,
  // Content: who answers.
  filesModule,
  appModule,
  emptyGifModule,
  stubStatusModule,
  upstreamModule,
  upstreamHcModule,
  proxyModule,
  fastcgiModule,
  uwsgiModule,
  scgiModule,
  grpcModule,
  tunnelModule,
  memcachedModule,
  // … and where nobody does: files.
  randomIndexModule,
  indexModule,
  autoindexModule,
  gzipStaticModule,
  staticModule,
  // Filters. What the client has already needs no more work; ranges are of what the others have made of it (RFC 9110 13.2.2).
  sliceModule,
  msieModule,
  notModifiedModule,
  headersModule,
  useridModule,
  gunzipModule,
  additionModule,
  subFilterModule,
  charsetModule,
  ssiModule,
  additionBodyModule,
  gzipModule,
  rangeModule,
  coreResponseModule,
  // Last: what has happened.
  logModule,
  gunicornLogModule,
  postActionModule,
];
