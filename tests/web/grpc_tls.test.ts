/** grpcs:// : the handshake with a gRPC server, what it proves and what it shows. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { freePort } from "../support/nginx_server.ts";
import { Directory } from "../support/server.ts";
import { bodyOf, testSite } from "../support/site.ts";
import { Certificates } from "../support/tls.ts";

const directory = new Directory();
afterAll(() => directory[Symbol.dispose]());
const certificates = new Certificates(directory.path).own("localhost").own("us").own("others");
const path = (name: string): string => certificates.path(name);
const securePort = freePort();

const site = testSite(`
  upstream kept { server 127.0.0.1:${securePort}; keepalive 2; }
  server {
    listen 127.0.0.1:${securePort} ssl;
    http2 on;
    ssl_certificate ${path("localhost.crt")}; ssl_certificate_key ${path("localhost.key")};
    ssl_verify_client optional_no_ca;
    location / { return 200 "$server_protocol $scheme $ssl_alpn_protocol $ssl_server_name $ssl_client_s_dn $connection_requests"; }
  }
  server {
    listen 127.0.0.1:PORT;
    grpc_ssl_trusted_certificate ${path("localhost.crt")};
    grpc_ssl_name localhost;
    grpc_ssl_server_name on;
    location /verified { grpc_pass grpcs://127.0.0.1:${securePort}; grpc_ssl_verify on; }
    location /other { grpc_pass grpcs://127.0.0.1:${securePort}; grpc_ssl_verify on; grpc_ssl_name example.com; }
    location /variable { grpc_pass grpcs://$arg_to; grpc_ssl_verify on; }
    location /kept { grpc_pass grpcs://kept; }
    location /shown {
      grpc_pass grpcs://127.0.0.1:${securePort}; grpc_ssl_certificate ${path("us.crt")}; grpc_ssl_certificate_key ${path("us.key")};
      location /shown/commanded {
        grpc_pass grpcs://127.0.0.1:${securePort};
        grpc_ssl_conf_command Certificate ${path("others.crt")}; grpc_ssl_conf_command PrivateKey ${path("others.key")};
      }
    }
    location /plain { grpc_pass grpc://127.0.0.1:${securePort}; }
  }`);

test("h2 is agreed on, the name asked for, the certificate checked", async () => {
  expect(bodyOf(await site.get("/verified"))).toContain("HTTP/2.0 https h2 localhost  1");
  expect(bodyOf(await site.get(`/variable?to=127.0.0.1:${securePort}`))).toContain("HTTP/2.0 https h2 localhost  1");
});

test("a certificate of another name is no server's", async () => {
  expect(await site.get("/other")).toStartWith("HTTP/1.1 502 ");
  const log = await Bun.file(join(site.server.directory.path, "error.log")).text();
  expect(log).toContain('upstream SSL certificate does not match "example.com"');
  expect(log).toContain(`upstream: "grpcs://127.0.0.1:${securePort}"`);
});

test("a connection is used again", async () => {
  expect(bodyOf(await site.get("/kept"))).toContain("h2 localhost  1");
  expect(bodyOf(await site.get("/kept"))).toContain("h2 localhost  2");
});

test("our own certificate; one that grpc_ssl_conf_command names has the last word", async () => {
  expect(bodyOf(await site.get("/shown"))).toContain("localhost CN=us 1");
  expect(bodyOf(await site.get("/shown/commanded"))).toContain("localhost CN=others 1");
});

test("who speaks plainly to a port of TLS is told so, in HTTP/2", async () => {
  expect(bodyOf(await site.get("/plain"))).toContain("The plain HTTP request was sent to HTTPS port");
});
