/** HTTPS under Gunicorn's settings: certificates, clients' certificates, ciphers, the hook ssl_context, and what a reload finds. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { until } from "../support/server.ts";
import { Certificates, get, tell } from "../support/tls.ts";
import { type Files, place, run, start } from "./support.ts";

/** A directory with an application, an authority, and certificates: the server's (site), a client's (client), a stranger's (other). */
function secured(files: Files = {}) {
  const directory = place(files);
  const certificates = new Certificates(directory.path);
  certificates.own("ca").issued("site", "ca").issued("client", "ca").own("other");
  return Object.assign(directory, {
    certificates,
    pem: (name: string) => readFileSync(certificates.path(name), "utf8"),
  });
}

const pair = ["--certfile", "site.crt", "--keyfile", "site.key"] as const;
const body = (text: string): string => text.slice(text.indexOf("\r\n\r\n") + 4);

describe("certfile and keyfile", () => {
  test("HTTPS: the address says so, and the application knows it", async () => {
    using directory = secured({
      "gunicorn.conf.py": "def when_ready(server): server.log.info('ready at %s', server.LISTENERS[0])\n",
    });
    await using server = await start(directory, [...pair, "app:app"]);
    await server.logged(/Listening at: https:\/\/127\.0\.0\.1:\d+/);
    await server.logged(/ready at https:\/\/127\.0\.0\.1:\d+/);
    const told = await tell(server.port, get("/environ/wsgi.url_scheme"));
    expect([told.commonName, body(told.text)]).toEqual(["site", "https"]);
    expect((await server.fetch("/")).status).toBe(400);
  });

  test("one file may hold both", async () => {
    using directory = secured();
    directory.write("both.pem", directory.pem("site.crt") + directory.pem("site.key"));
    await using server = await start(directory, ["--certfile", "both.pem", "app:app"]);
    expect(body((await tell(server.port, get("/"))).text)).toBe("hello");
  });

  test("HUP finds new certificates behind the same names", async () => {
    using directory = secured();
    await using server = await start(directory, [...pair, "app:app"]);
    expect((await tell(server.port, get("/"))).commonName).toBe("site");
    directory.write("site.crt", directory.pem("other.crt"));
    directory.write("site.key", directory.pem("other.key"));
    server.signal("SIGHUP");
    await server.logged(/The new workers serve/);
    // Connections that the old web workers have accepted already are theirs.
    await until(async () => (await tell(server.port, get("/"))).commonName === "other", "the new certificate");
  });

  test.each([
    ["no file", ["--certfile", "no.crt"], 'certfile "no.crt" does not exist'],
    ["no certificate", ["--certfile", "app.py", "--keyfile", "site.key"], "cannot load certificate "],
    ["no key", ["--certfile", "site.crt"], "cannot load certificate key "],
    ["another's key", ["--certfile", "site.crt", "--keyfile", "other.key"], "key values mismatch"],
    ["a key alone", ["--keyfile", "site.key"], "keyfile needs certfile"],
    ["ciphers that there are not", [...pair, "--ciphers", "NONSENSE"], "NO_CIPHER_MATCH"],
    ["clients' certificates from nobody", [...pair, "--cert-reqs", "2"], "cert_reqs needs ca_certs"],
    ["a number that means nothing", [...pair, "--cert-reqs", "3"], "cert_reqs must be 0, 1 or 2"],
  ])("a mistake is one line: %s", async (_, args, words) => {
    using directory = secured();
    const { code, err } = await run(directory, ["-b", "127.0.0.1:0", ...args, "app:app"]);
    expect(err).toContain(words);
    expect(err.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(1);
  });
});

describe("cert_reqs and ca_certs", () => {
  const client = (directory: ReturnType<typeof secured>, name: string) => ({
    cert: directory.pem(`${name}.crt`),
    key: directory.pem(`${name}.key`),
  });
  const statusOf = (text: string): string => text.slice(9, 12);

  test.each([
    ["0", { none: "200", known: "200", stranger: "200" }],
    ["1", { none: "200", known: "200", stranger: "400" }],
    ["2", { none: "400", known: "200", stranger: "400" }],
  ])("cert_reqs %s", async (reqs, wanted) => {
    using directory = secured();
    await using server = await start(directory, [...pair, "--cert-reqs", reqs, "--ca-certs", "ca.crt", "app:app"]);
    const ask = async (options = {}) => statusOf((await tell(server.port, get("/"), options)).text);
    expect({
      none: await ask(),
      known: await ask(client(directory, "client")),
      stranger: await ask(client(directory, "other")),
    }).toEqual(wanted);
  });
});

test("ciphers: the client's choice is among them", async () => {
  using directory = secured();
  const cipher = "ECDHE-ECDSA-AES128-GCM-SHA256";
  await using server = await start(directory, [...pair, "--ciphers", cipher, "app:app"]);
  const options = { maxVersion: "TLSv1.2" } as const;
  expect((await tell(server.port, get("/"), { ...options, ciphers: cipher })).protocol).toBe("TLSv1.2");
  await expect(tell(server.port, get("/"), { ...options, ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" })).rejects.toThrow();
});

test("what has no effect is accepted, and said", async () => {
  using directory = secured({
    "gunicorn.conf.py": "ssl_version = 5\ndo_handshake_on_connect = True\nsuppress_ragged_eofs = False\n",
  });
  await using server = await start(directory, [...pair, "app:app"]);
  await server.logged(/WARNING\] ssl_version: TLS 1\.2 and 1\.3 are spoken/);
  await server.logged(/WARNING\] do_handshake_on_connect: the web side shakes hands/);
  await server.logged(/WARNING\] suppress_ragged_eofs: connections that end without a word are tolerated/);
});

describe("the hook ssl_context", () => {
  test("what it asks of the default context counts", async () => {
    using directory = secured({
      "gunicorn.conf.py": `
import ssl
certfile, keyfile = "site.crt", "site.key"
def ssl_context(conf, default_ssl_context_factory):
    context = default_ssl_context_factory()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations("ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context
`,
    });
    await using server = await start(directory, ["app:app"]);
    const options = { cert: directory.pem("client.crt"), key: directory.pem("client.key") };
    const told = await tell(server.port, get("/"), options);
    expect([told.protocol, body(told.text)]).toEqual(["TLSv1.3", "hello"]);
    await expect(tell(server.port, get("/"), { ...options, maxVersion: "TLSv1.2" })).rejects.toThrow();
    expect((await tell(server.port, get("/"))).text).toStartWith("HTTP/1.1 400 ");
  });

  test("a context of its own, with another certificate", async () => {
    using directory = secured({
      "gunicorn.conf.py": `
import ssl
certfile, keyfile = "site.crt", "site.key"
def ssl_context(conf, default_ssl_context_factory):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("other.crt", keyfile="other.key")
    return context
`,
    });
    await using server = await start(directory, ["app:app"]);
    expect((await tell(server.port, get("/"))).commonName).toBe("other");
  });

  test.each([
    ["fails", "raise RuntimeError('no context today')", "no context today"],
    ["returns something else", "return None", "ssl_context must return an ssl.SSLContext, not NoneType"],
    ["has no certificate", "return __import__('ssl').SSLContext()", "the context has no certificate"],
  ])("refused: one that %s", async (_, statement, words) => {
    using directory = secured({
      "gunicorn.conf.py": `certfile, keyfile = "site.crt", "site.key"\ndef ssl_context(conf, factory): ${statement}\n`,
    });
    const { code, err } = await run(directory, ["app:app"]);
    expect(err).toContain(words);
    expect(code).toBe(1);
  });
});

test("http_protocols: HTTP/2 for clients that choose it; http2_cleartext: for those that begin with it", async () => {
  using directory = secured();
  const curl = async (...args: string[]) =>
    new Response(Bun.spawn(["curl", "-sk", ...args], { stderr: "inherit" }).stdout).text();
  {
    await using server = await start(directory, [...pair, "--http-protocols", "h2,h1", "app:app"]);
    const url = `https://127.0.0.1:${server.port}/environ/SERVER_PROTOCOL`;
    expect(await curl("--http2", url)).toBe("HTTP/2.0");
    expect(await curl("--http1.1", url)).toBe("HTTP/1.1");
  }
  {
    await using server = await start(directory, [...pair, "app:app"]);
    expect(await curl("--http2", `https://127.0.0.1:${server.port}/environ/SERVER_PROTOCOL`)).toBe("HTTP/1.1");
  }
  await using server = await start(directory, ["--http2-cleartext", "prior-knowledge", "app:app"]);
  const url = server.url("/environ/SERVER_PROTOCOL");
  expect(await curl("--http2-prior-knowledge", url)).toBe("HTTP/2.0");
  expect(await curl("--http1.1", url)).toBe("HTTP/1.1");
});
