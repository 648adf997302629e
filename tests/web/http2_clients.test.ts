/** HTTP/2 over TLS, as the clients of this world speak it: curl, Python's httpx and h2, Node, a browser. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { python } from "../app/support.ts";
import { ended } from "../support/command.ts";
import { NginxServer } from "../support/nginx_server.ts";
import { Certificates } from "../support/tls.ts";

const browser = Bun.which("chromium-headless-shell") ?? Bun.which("chromium");
const directory = mkdtempSync(join(tmpdir(), "alicorn-clients-"));
let server: NginxServer;
/** Subresources of the page, of each kind. */
const each = 25;

const names = (extension: string): string[] => Array.from({ length: each }, (_, i) => `part${i}.${extension}`);

/** Says in its body how its parts came, when the last one is there. */
const page = `<!doctype html><html><head>
${names("css")
  .map((name) => `<link rel="stylesheet" href="${name}">`)
  .join("\n")}
</head><body>
${names("svg")
  .map((name) => `<img src="${name}">`)
  .join("\n")}
${names("js")
  .map((name) => `<script src="${name}"></script>`)
  .join("\n")}
<script>
addEventListener("load", async () => {
  const texts = await Promise.all(${JSON.stringify(names("txt"))}.map((name) => fetch(name).then((found) => found.text())));
  const kinds = {};
  for (const { nextHopProtocol } of performance.getEntriesByType("resource"))
    kinds[nextHopProtocol] = (kinds[nextHopProtocol] ?? 0) + 1;
  const loaded = [...document.images].filter(({ naturalWidth }) => naturalWidth === 3).length;
  const styled = getComputedStyle(document.documentElement).getPropertyValue("--part24");
  document.body.textContent = "told: " + JSON.stringify([kinds, loaded, window.parts, texts.join("").length, styled]);
});
</script></body></html>`;

beforeAll(async () => {
  new Certificates(directory).own("localhost");
  server = await NginxServer.start(
    (port, place) => `
daemon off; user root; pid nginx.pid; error_log error.log info; worker_processes 1;
events { }
http {
  access_log off;
  types { text/html html; text/css css; text/javascript js; image/svg+xml svg; text/plain txt; }
  server {
    listen 127.0.0.1:${port} ssl;
    http2 on;
    ssl_certificate ${directory}/localhost.crt;
    ssl_certificate_key ${directory}/localhost.key;
    root ${place}/html;
    location = /hello { return 200 "$server_protocol $request_method $http_x_field"; }
  }
}`,
  );
  const files: [string, string][] = [
    ["page.html", page],
    ["large.txt", "0123456789abcdef".repeat(65536)],
    ...names("css").map((name, i): [string, string] => [name, `:root { --part${i}: ${i} }`]),
    ...names("js").map((name): [string, string] => [name, "window.parts = (window.parts ?? 0) + 1;"]),
    ...names("svg").map((name): [string, string] => [
      name,
      '<svg xmlns="http://www.w3.org/2000/svg" width="3" height="3"><rect width="3" height="3"/></svg>',
    ]),
    ...names("txt").map((name): [string, string] => [name, "x".repeat(5000)]),
  ];
  for (const [name, content] of files) server.directory.write(`html/${name}`, content);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const url = (path: string): string => `https://localhost:${server.port}${path}`;

async function run(command: readonly string[]): Promise<string> {
  const { code, out, err } = await ended(Bun.spawn([...command], { stdio: ["ignore", "pipe", "pipe"] }));
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${err}`);
  return out;
}

test("curl, with HTTP/2 and HTTP/1.1", async () => {
  const ask = (...options: string[]) =>
    run(["curl", "-sS", "--cacert", `${directory}/localhost.crt`, "-H", "X-Field: f", ...options, url("/hello")]);
  expect(await ask("--http2")).toBe("HTTP/2.0 GET f");
  expect(await ask("--http1.1")).toBe("HTTP/1.1 GET f");
  const large = await run(["curl", "-sS", "--http2", "--cacert", `${directory}/localhost.crt`, url("/large.txt")]);
  expect(large.length).toBe(16 * 65536);
});

test("Python's httpx and h2: requests side by side on one connection", async () => {
  const program = `
import asyncio, httpx, ssl, sys
async def main():
    trust = ssl.create_default_context(cafile=${JSON.stringify(`${directory}/localhost.crt`)})
    async with httpx.AsyncClient(http2=True, verify=trust) as client:
        found = await asyncio.gather(*[client.get(${JSON.stringify(url("/hello"))}, headers={"x-field": str(i)}) for i in range(50)])
        print({each.http_version for each in found}, [each.text for each in found] == [f"HTTP/2.0 GET {i}" for i in range(50)])
        large = await client.get(${JSON.stringify(url("/large.txt"))})
        print(large.http_version, len(large.content))
asyncio.run(main())`;
  expect(await run([python, "-c", program])).toBe("{'HTTP/2'} True\nHTTP/2 1048576\n");
});

test("Node's http2", async () => {
  const session = connect(url("/"), { rejectUnauthorized: false });
  const ask = (path: string) =>
    new Promise<string>((resolve, reject) => {
      const stream = session.request({ ":path": path, "x-field": "n" });
      let text = "";
      stream.setEncoding("latin1");
      stream.on("data", (piece: string) => {
        text += piece;
      });
      stream.on("end", () => resolve(text));
      stream.on("error", reject);
    });
  expect(await ask("/hello")).toBe("HTTP/2.0 GET n");
  const all = await Promise.all(names("txt").map((name) => ask(`/${name}`)));
  expect(all.map(({ length }) => length)).toEqual(new Array(each).fill(5000));
  session.close();
});

test.skipIf(browser === null)(
  "a browser loads a page of a hundred parts",
  async () => {
    const told = await run([
      browser ?? "",
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--ignore-certificate-errors",
      `--user-data-dir=${directory}/browser`,
      "--virtual-time-budget=20000",
      "--dump-dom",
      url("/page.html"),
    ]);
    const found = JSON.parse(/told: (.*)<\/body>/.exec(told)?.[1] ?? "null");
    expect(found).toEqual([{ h2: 4 * each }, each, each, 5000 * each, "24"]);
  },
  60_000,
);
