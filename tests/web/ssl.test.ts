/** ngx_http_ssl_module, and TLS with upstreams. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { freePort, NginxServer, nginx } from "../support/nginx_server.ts";
import { bodyOf, fieldOf } from "../support/site.ts";
import { Certificates, get, tell } from "../support/tls.ts";

const directory = mkdtempSync(join(tmpdir(), "alicorn-tls-"));
const made = new Certificates(directory);
const verifiedPort = freePort();
const rejectingPort = freePort();
const proxyPort = freePort();
const prefacePort = freePort();

const configuration = (port: number): string => `
daemon off; user root; pid nginx.pid; error_log error.log info; worker_processes 1;
events { }
http {
  access_log off;
  ssl_certificate ${directory}/localhost.crt;
  ssl_certificate_key ${directory}/localhost.key;
  server {
    listen 127.0.0.1:${port} ssl;
    http2 on;
    server_name localhost;
    ssl_certificate ${directory}/localhost.crt;
    ssl_certificate_key ${directory}/localhost.key;
    ssl_certificate ${directory}/rsa.crt;
    ssl_certificate_key ${directory}/rsa.key;
    location / { return 200 "$scheme $https $ssl_protocol $ssl_cipher $ssl_server_name $ssl_session_reused $ssl_alpn_protocol."; }
    location /moved { return 301 /there; }
    location /large { root ${directory}; }
    location /offers { return 200 "$ssl_ciphers $ssl_curves $ssl_curve"; }
  }
  server {
    listen 127.0.0.1:${port} ssl;
    server_name other.example.com *.wild.example.com;
    ssl_certificate ${directory}/other.crt;
    ssl_certificate_key ${directory}/other-locked.key;
    ssl_password_file ${directory}/phrases;
    error_page 497 https://elsewhere.example.com$request_uri;
    location / { return 200 "other"; }
  }
  server {
    listen 127.0.0.1:${port} ssl;
    server_name ~^(?<who>[a-z]+)[.]regex[.]example[.]com$;
    ssl_certificate ${directory}/$who.crt;
    ssl_certificate_key ${directory}/$ssl_server_name.key;
    location / { return 200 "$who"; }
  }
  server {
    listen 127.0.0.1:${verifiedPort} ssl;
    server_name localhost;
    ssl_verify_client on;
    ssl_client_certificate ${directory}/root.crt;
    error_page 496 /who;
    location / { return 200 "$ssl_client_verify|$ssl_client_s_dn|$ssl_client_i_dn_legacy|$ssl_client_serial|$ssl_client_fingerprint|$ssl_client_v_remain"; }
    location /who { return 200 "who are you?"; }
  }
  server {
    listen 127.0.0.1:${verifiedPort} ssl;
    server_name optional;
    ssl_verify_client optional_no_ca;
    location / { return 200 "$ssl_client_verify"; }
  }
  server {
    listen 127.0.0.1:${rejectingPort} ssl;
    ssl_reject_handshake on;
  }
  server {
    listen 127.0.0.1:${rejectingPort} ssl;
    server_name known;
    ssl_protocols TLSv1.2;
    location / { return 200 "known"; }
  }
  server {
    listen 127.0.0.1:${prefacePort} ssl proxy_protocol;
    location / { return 200 "$proxy_protocol_addr $scheme"; }
  }
  server {
    listen 127.0.0.1:${proxyPort};
    location /verified {
      proxy_pass https://127.0.0.1:${port}/;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${directory}/localhost.crt;
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;
      proxy_ssl_protocols TLSv1.2;
    }
    location /other_name {
      proxy_pass https://127.0.0.1:${port}/;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${directory}/localhost.crt;
      proxy_ssl_name other;
      proxy_ssl_protocols TLSv1.2;
    }
    location /untrusted {
      proxy_pass https://127.0.0.1:${port}/;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${directory}/root.crt;
      proxy_ssl_name localhost;
    }
    location /resumed { proxy_pass https://127.0.0.1:${port}/; proxy_ssl_session_reuse on; proxy_set_header Connection close; }
    location /known_to_it {
      proxy_pass https://127.0.0.1:${verifiedPort}/;
      proxy_ssl_certificate ${directory}/client.crt;
      proxy_ssl_certificate_key ${directory}/client.key;
    }
  }
}
`;

let server: NginxServer;
const large = "0123456789abcdef".repeat(400_000);

beforeAll(async () => {
  made.own("localhost").own("rsa", "rsa", "rsa").own("other", "other.example.com").own("root").own("stranger");
  made.own("alice").issued("client", "root", "/C=DE/O=Acme, Inc/CN=client").lock("other", "sesame");
  writeFileSync(join(directory, "alice.regex.example.com.key"), readFileSync(made.path("alice.key")));
  writeFileSync(join(directory, "phrases"), "wrong\nsesame\n");
  writeFileSync(join(directory, "large"), large);
  server = await NginxServer.start(configuration);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const curl = async (...args: readonly string[]): Promise<string> => {
  const { stdout } = Bun.spawn(["curl", "-sS", "--max-time", "10", ...args], { stderr: "ignore" });
  return await new Response(stdout).text();
};

test("requests over TLS: the version, the cipher and the scheme are known", async () => {
  const { text, protocol } = await tell(server.port, get("/"), {
    servername: "localhost",
    ALPNProtocols: ["http/1.1"],
  });
  expect(protocol).toBe("TLSv1.3");
  expect(bodyOf(text)).toBe("https on TLSv1.3 TLS_AES_128_GCM_SHA256 localhost . http/1.1.");
});

test("curl speaks HTTP/2 with it, and HTTP/1.1 if it wants to", async () => {
  const url = `https://localhost:${server.port}/`;
  const told = ["--cacert", made.path("localhost.crt"), "-w", " %{http_version}"];
  expect(await curl(...told, url)).toEndWith("h2. 2");
  expect(await curl(...told, "--http1.1", url)).toEndWith("http/1.1. 1.1");
});

test("redirects have the scheme and the port of the connection", async () => {
  const { text } = await tell(server.port, get("/moved", `localhost:${server.port}`));
  expect(fieldOf(text, "Location")).toBe(`https://localhost:${server.port}/there`);
});

test("a body that is larger than all buffers arrives whole, at the client's pace", async () => {
  const { text } = await tell(server.port, get("/large"));
  expect(bodyOf(text)).toBe(large);
  const paced = await curl("-k", "--http1.1", "--limit-rate", "4M", `https://localhost:${server.port}/large`);
  expect(paced.length).toBe(large.length);
});

test("requests in one piece are answered in their order, over one connection", async () => {
  const request = get("/").replace("Connection: close\r\n", "");
  const { text } = await tell(server.port, request.repeat(50) + get("/"));
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(51);
});

test("the name in the hello chooses the certificate: exact, with a wildcard, or by an expression", async () => {
  const names = ["localhost", "other.example.com", "a.wild.example.com", "alice.regex.example.com", "unknown.example"];
  const shown = await Promise.all(names.map((servername) => tell(server.port, get("/"), { servername })));
  expect(shown.map(({ commonName }) => commonName)).toEqual([
    "localhost",
    "other.example.com",
    "other.example.com",
    "alice",
    "localhost",
  ]);
});

test("certificates that names of clients would lead to and that do not exist: the handshake fails, and the log says why", async () => {
  await expect(tell(server.port, get("/"), { servername: "bob.regex.example.com" })).rejects.toThrow();
  await server.logged(
    /\[error\] .*cannot load certificate ".*bob\.crt": BIO_new_file\(\) failed .* while SSL handshaking, client: 127\.0\.0\.1/,
  );
});

test("of two certificates a client gets the one that it can check", async () => {
  const forCipher = async (ciphers: string) =>
    (await tell(server.port, get("/"), { maxVersion: "TLSv1.2", ciphers })).commonName;
  expect(await forCipher("ECDHE-RSA-AES128-GCM-SHA256")).toBe("rsa");
  expect(await forCipher("ECDHE-ECDSA-AES128-GCM-SHA256")).toBe("localhost");
});

test("what the client offers is known", async () => {
  const { text } = await tell(server.port, get("/offers"), {
    maxVersion: "TLSv1.2",
    ciphers: "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
    ecdhCurve: "secp384r1:prime256v1",
  });
  expect(bodyOf(text)).toStartWith("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384");
  expect(bodyOf(text)).toEndWith(" secp384r1:prime256v1 secp384r1");
});

test("a client that comes again goes on with its session", async () => {
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const first = await tell(server.port, get("/"), { maxVersion });
    expect(bodyOf(first.text)).toContain(" . ");
    const again = await tell(server.port, get("/"), { maxVersion, ...(first.session && { session: first.session }) });
    expect(bodyOf(again.text)).toContain(" r ");
  }
});

test("plain HTTP where TLS is spoken: a page that says so, or where error_page leads", async () => {
  const ask = (host: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = "";
      const socket = connect(server.port, "127.0.0.1", () =>
        socket.write(`GET /a?b HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
      );
      socket.on("data", (bytes) => (text += bytes.toString("latin1")));
      socket.on("end", () => resolve(text));
      socket.on("error", reject);
    });
  const page = await ask("localhost");
  expect(page).toStartWith("HTTP/1.1 400 Bad Request");
  expect(page).toContain("The plain HTTP request was sent to HTTPS port");
  expect(fieldOf(page, "Connection")).toBe("close");
  const led = await ask("other.example.com");
  expect(led).toStartWith("HTTP/1.1 302 ");
  expect(fieldOf(led, "Location")).toBe("https://elsewhere.example.com/a?b");
});

test("nothing that comes instead of a hello disturbs others", async () => {
  const send = (bytes: Buffer): Promise<Buffer> =>
    new Promise((resolve) => {
      const parts: Buffer[] = [];
      const socket = connect(server.port, "127.0.0.1", () => socket.write(bytes));
      socket.on("data", (part: Buffer) => parts.push(part));
      socket.on("close", () => resolve(Buffer.concat(parts)));
      socket.on("error", () => {});
    });
  // A hello that says that it is longer than it is: an alert is the answer.
  const answer = await send(Buffer.from("1603010005010000010303", "hex"));
  expect(answer[0]).toBe(21);
  expect(await send(Buffer.from("160301ffff00", "hex"))).toBeDefined();
  await server.logged(/\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:.*while SSL handshaking/);
  expect(bodyOf((await tell(server.port, get("/"))).text)).toStartWith("https");
});

test("a hello that comes byte by byte is understood", async () => {
  const through = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(client) {
        void Bun.connect({
          hostname: "127.0.0.1",
          port: server.port,
          socket: { data: (_, bytes) => void client.write(bytes), close: () => void client.end() },
        }).then((upstream) => {
          upstream.setNoDelay(true);
          pipes.set(client, upstream);
        });
      },
      data(client, bytes) {
        const part = async () => {
          for (const byte of bytes) {
            pipes.get(client)?.write(new Uint8Array([byte]));
            await new Promise(setImmediate);
          }
        };
        sending = sending.then(part);
      },
    },
  });
  const pipes = new WeakMap<object, { write(bytes: Uint8Array): number }>();
  let sending: Promise<void> = Promise.resolve();
  try {
    expect((await tell(through.port, get("/"), { servername: "other.example.com" })).commonName).toBe(
      "other.example.com",
    );
  } finally {
    through.stop(true);
  }
});

test("clients with a certificate that is trusted, with another one, and with none", async () => {
  const as = (name: string) => ({
    cert: readFileSync(made.path(`${name}.crt`)),
    key: readFileSync(made.path(`${name}.key`)),
  });
  const known = bodyOf((await tell(verifiedPort, get("/"), as("client"))).text).split("|");
  expect(known.slice(0, 3)).toEqual(["SUCCESS", "CN=client,O=Acme\\, Inc,C=DE", "/CN=root"]);
  expect(known[3]).toMatch(/^[0-9A-F]+$/);
  expect(known[4]).toMatch(/^[0-9a-f]{40}$/);
  expect(known[5]).toBe("29");
  const stranger = (await tell(verifiedPort, get("/"), as("stranger"))).text;
  expect(stranger).toStartWith("HTTP/1.1 400 ");
  expect(stranger).toContain("The SSL certificate error");
  await server.logged(/client SSL certificate verify error: \(18:self-signed certificate\)/);
  const nobody = (await tell(verifiedPort, get("/"))).text;
  expect(nobody).toStartWith("HTTP/1.1 400 ");
  expect(bodyOf(nobody)).toBe("who are you?");
  const optional = { ...as("stranger"), servername: "optional" };
  expect(bodyOf((await tell(verifiedPort, get("/", "optional"), optional)).text)).toBe(
    "FAILED:self-signed certificate",
  );
});

test("who has shown a certificate to one server does not get at another with it", async () => {
  const { text } = await tell(verifiedPort, get("/", "localhost"), { servername: "optional" });
  expect(text).toStartWith("HTTP/1.1 421 ");
});

test("handshakes for unknown names are rejected where that is asked for; versions are the server's own", async () => {
  await expect(tell(rejectingPort, get("/"), { servername: "unknown" })).rejects.toThrow(
    /UNRECOGNIZED_NAME|unrecognized/i,
  );
  const { text, protocol } = await tell(rejectingPort, get("/", "known"), { servername: "known" });
  expect([bodyOf(text), protocol]).toEqual(["known", "TLSv1.2"]);
});

test("a client that speaks no protocol of ours is told so", async () => {
  await expect(tell(server.port, get("/"), { ALPNProtocols: ["spdy/3"] })).rejects.toThrow(/APPLICATION_PROTOCOL/i);
});

test("the PROXY protocol's header comes before the handshake", async () => {
  const told = new Promise<string>((resolve, reject) => {
    const plain = connect(prefacePort, "127.0.0.1", () => {
      plain.write("PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n", () => {
        let text = "";
        const socket = tlsConnect({ socket: plain, rejectUnauthorized: false }, () => socket.write(get("/")));
        socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
        socket.on("end", () => resolve(text));
        socket.on("error", reject);
      });
    });
  });
  expect(bodyOf(await told)).toBe("192.0.2.1 https");
});

const ask = async (path: string): Promise<string> => await (await fetch(`http://127.0.0.1:${proxyPort}${path}`)).text();

test("upstreams through TLS: whose certificate is right gets the request", async () => {
  expect(await ask("/verified")).toBe("https on TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256 localhost . .");
  expect(await ask("/other_name")).toContain("502");
  await server.logged(/upstream SSL certificate does not match "other" while SSL handshaking to upstream/);
  expect(await ask("/untrusted")).toContain("502");
  await server.logged(
    /upstream SSL certificate verify error: \(18:self-signed certificate\) while SSL handshaking to upstream/,
  );
});

test("upstreams through TLS: sessions are gone on with, and we show a certificate", async () => {
  expect(await ask("/resumed")).toContain(" . ");
  expect(await ask("/resumed")).toContain(" r ");
  expect(await ask("/known_to_it")).toStartWith("SUCCESS|");
});

test("a new certificate is there after a reload, and no connection is lost by it", async () => {
  await using other = await NginxServer.start((port) =>
    `
    daemon off; user root; pid nginx.pid; error_log error.log info; worker_processes 1;
    events { }
    http {
      access_log off;
      server {
        listen 127.0.0.1:${port} ssl;
        ssl_certificate ${directory}/renewed.crt;
        ssl_certificate_key ${directory}/renewed.key;
        location / { return 200 "$pid"; }
      }
    }`.replaceAll("renewed", made.own("renewed", "before") && "renewed"),
  );
  expect((await tell(other.port, get("/"))).commonName).toBe("before");
  // A connection that is in the middle of its request.
  let text = "";
  const socket = tlsConnect({ host: "127.0.0.1", port: other.port, rejectUnauthorized: false });
  const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
  await new Promise<void>((resolve) => socket.on("secureConnect", resolve));
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n");
  made.own("renewed", "after");
  other.signal("SIGHUP");
  await other.logged(/gracefully shutting down|reconfiguring/);
  let now = "";
  while (now !== "after") now = (await tell(other.port, get("/"))).commonName;
  socket.write("\r\n");
  await ended;
  expect(text).toStartWith("HTTP/1.1 200 ");
});

/** What `-t` says about a server with these directives. */
function tested(directives: string): string {
  const file = join(directory, "tested.conf");
  writeFileSync(file, `events { } http { server { listen 127.0.0.1:1 ssl; ${directives} } }`);
  const { stderr } = Bun.spawnSync([nginx, "-t", "-p", directory, "-c", file], { stdin: "ignore" });
  return stderr.toString();
}

test("-t finds what is missing or wrong", () => {
  expect(tested("")).toContain('no "ssl_certificate" is defined for the "listen ... ssl" directive');
  expect(tested("ssl_certificate x.crt;")).toContain('no "ssl_certificate_key" is defined for certificate "x.crt"');
  expect(tested("ssl_certificate x.crt; ssl_certificate_key x.key;")).toContain(
    `cannot load certificate "${directory}/x.crt": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:calling fopen(${directory}/x.crt, r) error:10000080:BIO routines::no such file)`,
  );
  expect(tested("ssl_certificate rsa.crt; ssl_certificate_key localhost.key;")).toContain("key values mismatch");
  const right = "ssl_certificate rsa.crt; ssl_certificate_key rsa.key;";
  expect(tested(`${right} ssl_ciphers nonsense;`)).toContain('SSL_CTX_set_cipher_list("nonsense") failed (SSL: ');
  expect(tested(`${right} ssl_ecdh_curve nonsense;`)).toContain('SSL_CTX_set1_curves_list("nonsense") failed');
  expect(tested(`${right} ssl_protocols TLSv2;`)).toContain('invalid value "TLSv2"');
  expect(tested(`${right} ssl_verify_client on;`)).toContain("for ssl_verify_client");
  expect(tested(`${right} ssl_conf_command Nonsense x;`)).toContain('SSL_CONF_cmd("Nonsense", "x") failed');
  expect(tested(`${right} ssl_ocsp on;`)).toContain('"ssl_ocsp on" is Nginx\'s');
  expect(tested(`${right} ssl_stapling on; ssl_ecdh_curve X448:X25519; ssl_early_data on;`)).toContain("syntax is ok");
});

test("a client that has nothing more to say does not keep the server from stopping", async () => {
  const pair = `ssl_certificate ${directory}/localhost.crt; ssl_certificate_key ${directory}/localhost.key;`;
  const other = await NginxServer.start(
    (port) => `daemon off; user root; pid nginx.pid; error_log error.log info; worker_processes 1; events { }
      http { access_log off; server { listen 127.0.0.1:${port} ssl; ${pair} location / { return 200 "x"; } } }`,
  );
  // Half-open: it does not answer the end of the connection with its own.
  const halfOpen = { host: "127.0.0.1", port: other.port, rejectUnauthorized: false, allowHalfOpen: true };
  const socket = tlsConnect(halfOpen);
  await new Promise<void>((resolve) => socket.on("secureConnect", resolve));
  const begun = performance.now();
  other.signal("SIGQUIT");
  await other.process.exited;
  expect(performance.now() - begun).toBeLessThan(5000);
  socket.destroy();
  await other[Symbol.asyncDispose]();
});

test("by default only ciphers with forward secrecy and authenticated encryption (RFC 9325 4.2)", async () => {
  const speaks = (ciphers: string): Promise<boolean> =>
    new Promise((resolve) => {
      const options = { port: server.port, host: "127.0.0.1", servername: "localhost", rejectUnauthorized: false };
      const socket = tlsConnect({ ...options, ciphers, maxVersion: "TLSv1.2" }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
  const weak = ["AES128-GCM-SHA256", "AES256-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA"];
  expect(await Promise.all(weak.map(speaks))).toEqual(weak.map(() => false));
  const sound = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"];
  expect(await Promise.all(sound.map(speaks))).toEqual(sound.map(() => true));
});
