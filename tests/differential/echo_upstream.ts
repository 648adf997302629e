/** The server behind both: it answers with what it was asked, and some paths with something special. */
import { createServer, type Server, type Socket } from "node:net";

/** Starts it on a free port of 127.0.0.1. */
export function echoUpstream(): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let heard = "";
    socket.on("data", (bytes) => {
      heard += bytes.toString("latin1");
      const asked = wholeRequest(heard);
      if (asked === undefined) return;
      heard = "";
      const path = lastSegment(asked.target);
      const answer = specials[path] ?? echo(asked);
      if (answer === "") {
        socket.resetAndDestroy();
        return;
      }
      socket.write(asked.method === "HEAD" ? answer.replace(/\r\n\r\n.*/s, "\r\n\r\n") : answer, "latin1");
      // A connection that is to be kept stays open: to close it would race with its next request.
      if (endedByClose.has(path)) socket.end();
    });
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      const close = (): void => {
        for (const socket of sockets) socket.destroy();
        server.close();
      };
      resolve({ port, close });
    }),
  );
}

interface Asked {
  readonly method: string;
  readonly target: string;
  readonly head: readonly string[];
  readonly body: string;
}

function wholeRequest(text: string): Asked | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line = "", ...head] = text.slice(0, end).split("\r\n");
  const body = text.slice(end + 4);
  const length = /^content-length: *(\d+)$/im.exec(head.join("\n"))?.[1] ?? "0";
  if (body.length < Number(length)) return undefined;
  if (/^transfer-encoding:/im.test(head.join("\n")) && !body.endsWith("0\r\n\r\n")) return undefined;
  const [method = "", target = ""] = line.split(" ");
  // Whether the connection will be used again is each server's own decision.
  const fields = head.filter((each) => !/^connection: close$/i.test(each)).sort();
  return { method, target, head: [line, ...fields], body };
}

function echo({ head, body }: Asked): string {
  const text = `${head.join("\n")}\n\n${body}`;
  return `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

/** Answers by path; "" resets the connection. */
const specials: Readonly<Record<string, string>> = {
  "/redirect": "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:UPSTREAM/over/there?a=b\r\nContent-Length: 0\r\n\r\n",
  "/relative": "HTTP/1.1 301 Moved Permanently\r\nLocation: /over/there\r\nContent-Length: 0\r\n\r\n",
  "/cookies":
    "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/inner/; Domain=inner.test\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
  "/missing": "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nnot here\r\n",
  "/broken": "HTTP/1.1 500 Internal Server Error\r\nX-Cause: it\r\nContent-Length: 5\r\n\r\nsorry",
  "/teapot": "HTTP/1.1 418 I am a teapot\r\nContent-Length: 5\r\n\r\nshort",
  "/unavailable": "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nlater",
  "/empty": "HTTP/1.1 204 No Content\r\n\r\n",
  "/until-closed": "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall that comes",
  "/http10": "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nan old answer",
  "/chunked":
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
  "/hidden":
    "HTTP/1.1 200 OK\r\nX-Powered-By: this\r\nX-Accel-Something: that\r\nX-Pad: pad\r\nStatus: 200\r\nServer: inner\r\nContent-Length: 2\r\n\r\nok",
  "/accel":
    "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /internal/a.txt\r\nX-Other: gone\r\nContent-Type: text/x-accel\r\nContent-Length: 2\r\n\r\nno",
  "/accel-named": "HTTP/1.1 200 OK\r\nX-Accel-Redirect: @named\r\nContent-Length: 2\r\n\r\nno",
  "/accel-args": "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /shown%20here?x=1\r\nContent-Length: 2\r\n\r\nno",
  "/expires":
    "HTTP/1.1 200 OK\r\nX-Accel-Expires: 10\r\nX-Accel-Charset: utf-8\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok",
  "/dated":
    'HTTP/1.1 200 OK\r\nLast-Modified: Mon, 28 Sep 1970 06:00:00 GMT\r\nETag: "abc"\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n0123456789',
  "/ranges":
    'HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nETag: "abc"\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n0123456789',
  "/html": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 21\r\n\r\n<p>the inner page</p>",
  "/refresh": "HTTP/1.1 200 OK\r\nRefresh: 3; url=http://127.0.0.1:UPSTREAM/other\r\nContent-Length: 2\r\n\r\nok",
  "/reason": "HTTP/1.1 200 As You Like It\r\nContent-Length: 2\r\n\r\nok",
  "/no-reason": "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
  "/bare-lf": "HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 2\n\nok",
  "/garbage": "this is not HTTP\r\n\r\n",
  "/short": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
  "/long": "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf and more",
  "/two-lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
  "/both-framings": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "/early": "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "/odd-fields":
    "HTTP/1.1 200 OK\r\nX-Empty:\r\nX-Spaces:   a  b  \r\nbad name: x\r\nx_low: 1\r\nContent-Length: 2\r\n\r\nok",
  "/reset": "",
};

/** Nginx before 1.29 takes early hints for the answer, whose end is the connection's. */
const endedByClose: ReadonlySet<string> = new Set(["/until-closed", "/http10", "/garbage", "/short", "/early"]);

function lastSegment(target: string): string {
  return target.replace(/\?.*/, "").replace(/^.*\/(?=[^/])/, "/");
}
