/**
 * A small HTTP server that can be killed at any moment: `counting_upstream.ts PORT FILE`. It answers GET at once, and POST after a
 * little while, having written the request's path into FILE before. A response is one write: it arrives whole or not at all.
 */
import { appendFileSync } from "node:fs";
import { createServer } from "node:net";

/** How long a POST takes: so many are under way whenever the process is killed. */
const workMs = 3;

const response = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

if (import.meta.main) {
  const [, , port, file = ""] = process.argv;
  const server = createServer({ noDelay: true }, (socket) => {
    let heard = "";
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      heard += bytes.toString("latin1");
      for (let end = heard.indexOf("\r\n\r\n"); end >= 0; end = heard.indexOf("\r\n\r\n")) {
        const [method, path] = heard.slice(0, end).split(" ", 2);
        heard = heard.slice(end + 4);
        if (method === "GET") {
          socket.write(response("<h1>Pieces</h1>\n"));
          continue;
        }
        appendFileSync(file, `${path?.replace("/once/", "")}\n`);
        setTimeout(() => socket.write(response("done\n")), workMs);
      }
    });
  });
  server.listen(Number(port), "127.0.0.1", 2048, () => process.stdout.write("listening\n"));
}
