/**
 * What `nginx -V` says: which of Nginx's modules there are. Scripts and test suites read from it what they may use, so it says exactly
 * what is true. `with` rows are modules that Nginx has to be built with, `without` rows such as it has unless told otherwise.
 */

/** The version of Nginx whose directives and behaviour are the measure. */
export const nginxVersion = "1.31.5";

/** Modules that Nginx does not have by default, and we do. */
const present = [
  "http_addition_module",
  "http_auth_request_module",
  "http_gunzip_module",
  "http_gzip_static_module",
  "http_random_index_module",
  "http_realip_module",
  "http_secure_link_module",
  "http_slice_module",
  "http_ssl_module",
  "http_stub_status_module",
  "http_sub_module",
  "http_v2_module",
] as const;

/** Modules that Nginx has by default, and we do not. */
const absent = ["mail_imap_module", "mail_pop3_module", "mail_smtp_module"] as const;

/** Is there TLS? Then its library, for "built with …". */
const tls: string | undefined = "OpenSSL 1.1.1 (compatible; BoringSSL)";

/** The lines of `-v`, and of `-V` with `features`. */
export function versionText(version: string, features: boolean): string {
  const lines = [`nginx version: nginx/${nginxVersion}`, `alicorn version: ${version}`];
  if (features) {
    lines.push(`built by Bun ${Bun.version}`);
    if (tls !== undefined) lines.push(`built with ${tls}`, "TLS SNI support enabled");
    const words = [...present.map((name) => `--with-${name}`), ...absent.map((name) => `--without-${name}`)];
    lines.push(`configure arguments: ${words.join(" ")}`);
  }
  return `${lines.join("\n")}\n`;
}
