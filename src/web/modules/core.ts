/** Variables of the request, its connection and its response (ngx_http_core_module). */

import { hostname } from "node:os";
import { parseIpv4, parseIpv6 } from "../../base/address.ts";
import { isoTimeNow, logTimeNow, secondsText } from "../../base/local_time.ts";
import { parseSize } from "../../config/values.ts";
import { fieldName as nameOf } from "../../http/headers.ts";
import { findTlv } from "../../net/proxy_protocol.ts";
import { type TcpInfo, tcpInfo } from "../../net/tcp_info.ts";
import type { Exchange } from "../exchange.ts";
import { realPath } from "../files.ts";
import { defineModule } from "../module.ts";
import type { FamilyTable, Variable, VariableTable } from "../variables.ts";
import { requestId } from "./request_id.ts";

const field = (name: string) => {
  const { key } = nameOf(name);
  return (exchange: Exchange) => listOf(exchange, key);
};

/** All fields of a name, as one; a hyphen in it is an underscore in the variable's. Cookies are joined as cookies are (RFC 6265 5.4). */
function listOf({ request: { headers } }: Exchange, key: string): string | undefined {
  const { names, values } = headers;
  let text: string | undefined;
  for (let i = 0; i < names.length; i++) {
    if (names[i]!.key !== key) continue;
    text = text === undefined ? values[i] : `${text}${key === "HTTP_COOKIE" ? "; " : ", "}${values[i]}`;
  }
  return text;
}

function sentField({ reply }: Exchange, lower: string): string | undefined {
  const all = reply?.head.headers.all(lower);
  return all === undefined || all.length === 0 ? undefined : all.join(", ");
}

/** An argument of the query, as it stands. Names are compared without regard to case, and need a "=", as with Nginx. */
export function argument(args: string, lower: string): string | undefined {
  if (lower === "") return undefined;
  for (let at = 0; at < args.length; ) {
    const next = args.indexOf("&", at);
    const end = next < 0 ? args.length : next;
    const equals = at + lower.length;
    if (equals < end && args[equals] === "=" && args.slice(at, equals).toLowerCase() === lower)
      return args.slice(equals + 1, end);
    at = end + 1;
  }
  return undefined;
}

/** A cookie's value; names are compared without regard to case. */
export function cookie(exchange: Exchange, lower: string): string | undefined {
  for (const line of exchange.request.headers.all("cookie"))
    for (const pair of line.split(";")) {
      const equals = pair.indexOf("=");
      if (equals > 0 && pair.slice(0, equals).trim().toLowerCase() === lower) return pair.slice(equals + 1).trim();
    }
  return undefined;
}

const fieldName = (rest: string): string => rest.replaceAll("_", "-");

function binaryAddress(text: string): string {
  const bytes = parseIpv4(text) ?? parseIpv6(text);
  return bytes === undefined ? text : Buffer.from(bytes).toString("latin1");
}

/** An empty query is none: a log shows "-". */
const given = (args: string): string | undefined => (args === "" ? undefined : args);

const variables: VariableTable = {
  args: {
    summary: "The query.",
    get: ({ args }) => given(args),
    set(exchange, value) {
      exchange.args = value;
    },
  },
  query_string: { summary: "The query.", get: ({ args }) => given(args) },
  is_args: { summary: '"?" if there is a query.', get: ({ args }) => (args === "" ? "" : "?") },
  uri: { summary: "The path as it is now: decoded, normalised, perhaps rewritten.", get: ({ uri }) => uri },
  document_uri: { summary: "The same as $uri.", get: ({ uri }) => uri },
  request_uri: { summary: "The path and query as they came.", get: ({ request }) => request.uri },
  request: { summary: "The request line.", get: ({ request }) => request.requestLine },
  request_method: {
    summary: "The method.",
    get: ({ main }) => (main.request.method === "" ? undefined : main.method),
  },
  request_length: {
    summary: "Bytes of the request, head and body.",
    plain: true,
    get: ({ request, body }) => String(request.headLength + (body?.received ?? 0)),
  },
  request_id: requestId,
  request_time: {
    summary: "Seconds since the request arrived, to the millisecond.",
    plain: true,
    get: ({ startedAt }) => secondsText(performance.now() - startedAt),
  },
  request_completion: {
    summary: '"OK" if the response was sent whole.',
    get: ({ reply, onGone }) => (reply !== undefined && onGone === undefined ? "OK" : ""),
  },
  request_port: {
    summary: "The port that the request names.",
    plain: true,
    get: ({ request }) => (request.authorityPort > 0 ? String(request.authorityPort) : ""),
  },
  is_request_port: {
    summary: '":" if the request names a port.',
    plain: true,
    get: ({ request }) => (request.authorityPort > 0 ? ":" : ""),
  },
  request_body: {
    summary: "The body, where a handler has read it and it is in memory.",
    get({ main: { body } }) {
      return body?.whole?.kind === "bytes" ? Buffer.from(body.whole.bytes).toString("latin1") : undefined;
    },
  },
  request_body_file: {
    summary: "The name of the file with the body (client_body_in_file_only).",
    get: ({ main: { body } }) =>
      body?.whole?.kind === "file" ? (body.whole.path ?? `/proc/${process.pid}/fd/${body.whole.fd}`) : undefined,
  },
  host: {
    summary: "The host that the request names, in lower case; else the server's first name.",
    get: ({ request, server }) => (request.host === "" ? server.name : request.host),
  },
  hostname: { summary: "This machine's name.", get: () => thisHost },
  server_name: { summary: "The server's first name.", get: ({ server }) => server.name },
  server_addr: {
    summary: "The address that the client has reached.",
    get: ({ client }) => (client.localPort === "" ? `unix:${client.localAddress}` : client.localAddress),
  },
  server_port: { summary: "… and its port.", plain: true, get: ({ client }) => client.localPort },
  server_protocol: {
    summary: '"HTTP/1.1" or what the client speaks.',
    plain: true,
    get: ({ request }) => request.protocol,
  },
  scheme: { summary: '"http" or "https".', plain: true, get: ({ client }) => client.scheme },
  https: { summary: '"on" over TLS.', plain: true, get: ({ client }) => (client.scheme === "https" ? "on" : "") },
  remote_addr: {
    summary: "The client's address.",
    plain: true,
    get: ({ client }) => (client.peerAddress === "" ? "unix:" : client.peerAddress),
  },
  remote_port: {
    summary: "… and its port.",
    plain: true,
    get: ({ client }) => (client.peerPort === 0 ? "" : String(client.peerPort)),
  },
  binary_remote_addr: {
    summary: "The client's address in 4 or 16 bytes.",
    get: ({ client }) => (client.peerAddress === "" ? "unix:" : binaryAddress(client.peerAddress)),
  },
  remote_user: {
    summary: "The user of Basic authentication, believed or not (RFC 7617).",
    get: ({ request }) => basicUser(request.headers.get("authorization")),
  },
  connection: {
    summary: "The connection's number in this worker.",
    plain: true,
    get: ({ client }) => String(client.number),
  },
  connection_requests: {
    summary: "Which request of its connection this is.",
    plain: true,
    get: ({ client }) => String(client.requests),
  },
  connection_time: {
    summary: "Seconds since the connection was made.",
    plain: true,
    get: ({ client }) => secondsText(performance.now() - client.acceptedAt),
  },
  pipe: {
    summary: '"p" if the request had begun to arrive before its predecessor was answered; else ".".',
    plain: true,
    get: ({ main }) => (main.isPipelined ? "p" : "."),
  },
  pid: { summary: "The worker's process number.", plain: true, get: () => thisProcess },
  nginx_version: { summary: "The version of Nginx that this behaves as.", plain: true, get: () => "1.31.5" },
  msec: { summary: "Now, in seconds, to the millisecond.", plain: true, get: () => secondsText(Date.now()) },
  time_iso8601: { summary: "Now, as ISO 8601 has it.", plain: true, get: isoTimeNow },
  time_local: { summary: "Now, as the access log has it.", plain: true, get: logTimeNow },
  document_root: {
    summary: "The directory of files here (root, alias).",
    get: (exchange) => exchange.location.documents.root(exchange),
  },
  realpath_root: {
    summary: "The same with its links resolved.",
    get: (exchange) => realPath(exchange.location.documents.root(exchange)),
  },
  request_filename: {
    summary: "The file that the path names here.",
    get: (exchange) => exchange.location.documents.path(exchange, exchange.uri),
  },
  status: {
    summary: "The response's status.",
    plain: true,
    get: ({ reply, errorStatus, statusToCome }) =>
      String(reply?.head.status ?? (errorStatus || statusToCome)).padStart(3, "0"),
  },
  body_bytes_sent: {
    summary: "Bytes of the body that were sent.",
    plain: true,
    get: ({ bodyBytesSent }) => String(bodyBytesSent),
  },
  bytes_sent: {
    summary: "Bytes that were sent, head included.",
    plain: true,
    get: ({ bytesSent }) => String(bytesSent),
  },
  limit_rate: {
    summary: "Bytes per second that the response is limited to.",
    plain: true,
    get: ({ rate = 0 }) => String(rate),
    set(exchange, value) {
      const rate = parseSize(value);
      if (rate === undefined) exchange.log("error", `invalid $limit_rate "${value}"`);
      else exchange.rate = rate;
    },
  },
  content_length: {
    summary: "The request's Content-Length; of a body without one its length, once it has been read.",
    get: (exchange) => listOf(exchange, "CONTENT_LENGTH") ?? lengthRead(exchange),
  },
  content_type: { summary: "The request's Content-Type.", get: field("content-type") },
  sent_http_content_type: {
    summary: "The response's Content-Type.",
    get: (exchange) => sentField(exchange, "content-type"),
  },
  sent_http_connection: {
    summary: "The response's Connection.",
    get: ({ closes, reply }) => (reply?.head.status === 101 ? "upgrade" : closes ? "close" : "keep-alive"),
  },
  sent_http_keep_alive: {
    summary: "The response's Keep-Alive.",
    get: ({ reply }) => (reply?.head.keepAliveHint === undefined ? undefined : `timeout=${reply.head.keepAliveHint}`),
  },
  sent_http_transfer_encoding: {
    summary: "The response's Transfer-Encoding.",
    get: ({ reply, request }) =>
      reply !== undefined &&
      reply.body.kind === "stream" &&
      request.version === 11 &&
      !reply.head.headers.has("content-length")
        ? "chunked"
        : undefined,
  },
  proxy_protocol_addr: {
    summary: "The client's address, as the PROXY protocol says.",
    get: ({ main }) => main.client.proxy?.source?.address,
  },
  proxy_protocol_port: {
    summary: "… and its port.",
    plain: true,
    get: ({ main }) => portOf(main.client.proxy?.source),
  },
  proxy_protocol_server_addr: {
    summary: "The address that the client reached, as the PROXY protocol says.",
    get: ({ main }) => main.client.proxy?.destination?.address,
  },
  tcpinfo_rtt: tcp("rtt", "The round-trip time to the client, in microseconds."),
  tcpinfo_rttvar: tcp("rttvar", "… and its variation."),
  tcpinfo_snd_cwnd: tcp("snd_cwnd", "The congestion window towards the client, in packets."),
  tcpinfo_rcv_space: tcp("rcv_space", "What the receive buffer is dimensioned for, in bytes."),
  proxy_protocol_server_port: {
    summary: "… and its port.",
    plain: true,
    get: ({ main }) => portOf(main.client.proxy?.destination),
  },
};

const thisHost = hostname().toLowerCase();
const thisProcess = String(process.pid);

function lengthRead({ main: { body } }: Exchange): string | undefined {
  return body?.whole === undefined ? undefined : String(body.received);
}

function tcp(name: keyof TcpInfo, summary: string): Variable {
  return {
    summary,
    plain: true,
    get({ main: { client } }) {
      const info = client.fd === undefined ? undefined : tcpInfo(client.fd);
      return info === undefined ? undefined : String(info[name]);
    },
  };
}

const portOf = (end: { readonly port: number } | undefined): string | undefined =>
  end === undefined ? undefined : String(end.port);

const families: FamilyTable = {
  arg_: {
    summary: "An argument of the query.",
    get:
      (rest) =>
      ({ args }) =>
        argument(args, rest),
  },
  http_: {
    summary: "A field of the request, with underscores for hyphens.",
    get: (rest) => {
      const { key } = nameOf(rest);
      return (exchange) => listOf(exchange, key);
    },
  },
  sent_http_: {
    summary: "A field of the response.",
    get: (rest) => {
      const name = fieldName(rest);
      return (exchange) => sentField(exchange, name);
    },
  },
  sent_trailer_: {
    summary: "A trailer of the response.",
    get: (rest) => {
      const name = fieldName(rest);
      return ({ sentTrailers }) => {
        const all = sentTrailers?.all(name) ?? [];
        return all.length === 0 ? undefined : all.join(", ");
      };
    },
  },
  proxy_protocol_tlv_: {
    summary: "A further field of the PROXY protocol's header: by name (alpn, ssl_cn …) or number (0x05).",
    get: (rest) => (exchange) => {
      const tlvs = exchange.main.client.proxy?.tlvs;
      const found = tlvs === undefined ? undefined : findTlv(tlvs, rest);
      if (found === undefined || "value" in found) return found?.value;
      exchange.log("error", found.error);
      return undefined;
    },
  },
  cookie_: { summary: "A cookie.", get: (rest) => (exchange) => cookie(exchange, rest) },
};

/** RFC 7617 2 */
function basicUser(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const found = /^basic +(\S+)$/i.exec(authorization);
  if (found === null) return undefined;
  const decoded = Buffer.from(found[1] ?? "", "base64").toString("latin1");
  const colon = decoded.indexOf(":");
  return colon < 0 ? undefined : decoded.slice(0, colon);
}

export const coreModule = defineModule({ name: "core", directives: {}, variables, families });
