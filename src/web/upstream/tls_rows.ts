/** The directives of TLS with upstreams, under the prefix of each module: `proxy_ssl_verify`, `uwsgi_ssl_verify` … */
import { type Conf, type Directive, type Directives, everywhere, flag, number, template, text } from "../directive.ts";
import { certificatePath, confCommands, parseCertificateCache, passwordFile, protocolsRow } from "../tls/rows.ts";

const file = (summary: string): Directive<string | undefined> => ({
  ...text({ contexts: everywhere, initial: undefined, summary, syntax: "file" }),
  parse: ({ args }, _, { setup }) => certificatePath(args[0] ?? "", setup),
});

const rows = {
  ssl_certificate: template({
    contexts: everywhere,
    initial: undefined,
    syntax: "file | data:PEM",
    summary: "The certificate that is shown to upstreams that ask for one; empty: none.",
  }),
  ssl_certificate_key: template({
    contexts: everywhere,
    initial: undefined,
    syntax: "file | data:PEM",
    summary: "Its key.",
  }),
  ssl_certificate_cache: {
    summary: "For how long files that are named with variables are remembered.",
    syntax: "off | max=N [inactive=time] [valid=time]",
    contexts: everywhere,
    args: [1, 3],
    initial: false,
    initialText: "off",
    parse: parseCertificateCache,
  } as Directive<ReturnType<typeof parseCertificateCache>>,
  ssl_password_file: { ...passwordFile, contexts: everywhere },
  ssl_protocols: protocolsRow(everywhere),
  ssl_ciphers: text({
    contexts: everywhere,
    initial: "DEFAULT",
    initialText: "DEFAULT",
    syntax: "ciphers",
    summary: "Ciphers up to TLS 1.2, in OpenSSL's notation.",
    deviation: "`@SECLEVEL` has no effect.",
  }),
  ssl_name: template({
    contexts: everywhere,
    initial: undefined,
    initialText: "$proxy_host",
    summary: "The name that upstreams are asked for, and that their certificates have to have.",
  }),
  ssl_server_name: flag({
    contexts: everywhere,
    initial: false,
    summary: "Whether upstreams are asked for a name (SNI).",
  }),
  ssl_verify: flag({ contexts: everywhere, initial: false, summary: "Whether upstreams' certificates are checked." }),
  ssl_verify_depth: number({
    contexts: everywhere,
    initial: 1,
    initialText: "1",
    summary: "How many certificates may be between an upstream's and a trusted one.",
  }),
  ssl_trusted_certificate: file("Authorities that upstreams' certificates may come from."),
  ssl_crl: file("Upstreams' certificates that have been called back."),
  ssl_session_reuse: flag({
    contexts: everywhere,
    initial: true,
    summary: "Whether we go on with sessions of earlier connections.",
  }),
  ssl_conf_command: confCommands(everywhere),
};

type Rows = typeof rows;

export type UpstreamTlsRows<P extends string> = { readonly [Name in keyof Rows as `${P}_${Name}`]: Rows[Name] };

/** `prefix`: of the module's directives, "proxy". */
export const upstreamTlsRows = <const P extends string>(prefix: P): UpstreamTlsRows<P> =>
  Object.fromEntries(Object.entries(rows).map(([name, row]) => [`${prefix}_${name}`, row])) as UpstreamTlsRows<P>;

/** What they say in a location, without their prefix. */
export type UpstreamTlsConf = Conf<Rows>;

export function upstreamTlsConf(prefix: string, conf: Conf<Directives>): UpstreamTlsConf {
  const plain = Object.entries(rows).map(([name, row]) => [name, conf[`${prefix}_${name}`] ?? row.initial]);
  return Object.fromEntries(plain) as UpstreamTlsConf;
}
