/** Certificates made for a test, and a client that speaks TLS. */
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";

/** Makes certificates in a directory with OpenSSL's command: NAME.crt and NAME.key each. */
export class Certificates {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  #openssl(...args: readonly string[]): void {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: this.directory, stdin: "ignore" });
    if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr}`);
  }

  #keyOptions(kind: "ec" | "rsa"): readonly string[] {
    return kind === "ec" ? ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] : ["-newkey", "rsa:2048"];
  }

  /** One that vouches for itself. */
  own(name: string, commonName = name, kind: "ec" | "rsa" = "ec"): this {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.crt`];
    this.#openssl(
      "req",
      "-x509",
      ...this.#keyOptions(kind),
      "-nodes",
      "-days",
      "30",
      "-subj",
      `/CN=${commonName}`,
      ...files,
    );
    return this;
  }

  /** One that `issuer` vouches for. */
  issued(name: string, issuer: string, subject = `/CN=${name}`, extensions = ""): this {
    const request = ["-keyout", `${name}.key`, "-out", `${name}.csr`];
    this.#openssl("req", ...this.#keyOptions("ec"), "-nodes", "-subj", subject, ...request);
    const by = ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`, "-CAcreateserial"];
    const more = extensions === "" ? [] : ["-extfile", extensions];
    this.#openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-days", "30", "-out", `${name}.crt`, ...more);
    return this;
  }

  /** The same key behind a pass phrase: NAME-locked.key. */
  lock(name: string, phrase: string): this {
    this.#openssl("pkey", "-in", `${name}.key`, "-aes128", "-passout", `pass:${phrase}`, "-out", `${name}-locked.key`);
    return this;
  }
}

export interface Told {
  /** All that came, as latin-1 text. */
  readonly text: string;
  /** Whose certificate the server has shown. */
  readonly commonName: string;
  readonly protocol: string | null;
  readonly session: Buffer | undefined;
}

/** Sends one request over a connection of its own. Fails where the handshake does. */
export function tell(port: number, request: string, options: ConnectionOptions = {}): Promise<Told> {
  return new Promise((resolve, reject) => {
    let text = "";
    let session: Buffer | undefined;
    let commonName = "";
    let protocol: string | null = null;
    const socket: TLSSocket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options }, () => {
      commonName = String(socket.getPeerCertificate().subject.CN);
      protocol = socket.getProtocol();
      socket.write(request, "latin1");
    });
    socket.on("session", (given: Buffer) => (session = given));
    socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
    socket.on("error", reject);
    socket.on("close", () => resolve({ text, commonName, protocol, session }));
  });
}

/** A request after which the server closes. */
export const get = (target: string, host = "localhost"): string =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
