/** HTTPS on the command line. */
import { expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Directory, Server } from "../support/server.ts";
import { Certificates, get, tell } from "../support/tls.ts";

const app = `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['PATH_INFO']}".encode()]
`;

test("--https: a certificate of this machine, made once, and plain HTTP is redirected", async () => {
  using directory = new Directory({ "app.py": app });
  const args = ["--chdir", directory.path, "app:app", "--workers", "1", "--web-workers", "1", "--https", "localhost"];
  const env = { XDG_DATA_HOME: directory.path };
  const authorityFile = join(directory.path, "alicorn/authority.pem");
  const started = /^ {2}at +https:\/\/127\.0\.0\.1:(\d+)/m;
  const trusting = () => ({ ca: readFileSync(authorityFile), rejectUnauthorized: true, servername: "localhost" });
  let first: string;
  {
    await using server = await Server.start(args, { env, started });
    const port = Number(started.exec(server.output)?.[1]);
    const { text, commonName } = await tell(port, get("/a"), trusting());
    expect(text).toEndWith("\r\n\r\nhttps /a");
    expect(commonName).toBe("localhost");
    const plain = await fetch(`http://127.0.0.1:${port}/b?c`, { redirect: "manual" });
    expect([plain.status, plain.headers.get("location")]).toEqual([301, `https://127.0.0.1:${port}/b?c`]);
    first = readFileSync(authorityFile, "latin1");
    expect(statSync(join(directory.path, "alicorn/authority-key.pem")).mode & 0o077).toBe(0);
  }
  await using again = await Server.start(args, { env, started });
  const port = Number(started.exec(again.output)?.[1]);
  expect((await tell(port, get("/"), trusting())).text).toEndWith("https /");
  expect(readFileSync(authorityFile, "latin1")).toBe(first);
});

test("--certfile and --keyfile", async () => {
  using directory = new Directory({ "app.py": app });
  new Certificates(directory.path).own("mine", "mine.example.com");
  const files = ["--certfile", `${directory.path}/mine.crt`, "--keyfile", `${directory.path}/mine.key`];
  const started = /^ {2}at +https:\/\/127\.0\.0\.1:(\d+)/m;
  const args = ["--chdir", directory.path, "app:app", "--workers", "1", "--web-workers", "1", ...files];
  await using server = await Server.start(args, { started });
  const told = await tell(Number(started.exec(server.output)?.[1]), get("/"));
  expect([told.commonName, told.text.endsWith("https /")]).toEqual(["mine.example.com", true]);
});
