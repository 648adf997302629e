/** The temporary folder of a benchmark run: static files, the Django database, and one folder for each server instance. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./process.ts";
import type { Place } from "./servers/contender.ts";
import type { Tools } from "./tools.ts";

const fileSizes = { "1k.txt": 1_024, "4k.txt": 4_096, "10k.txt": 10_240, "100k.txt": 102_400, "1m.txt": 1_048_576 };
const line = "The quick brown unicorn jumps over the lazy reverse proxy.\n";
const apps = join(import.meta.dir, "apps");

export class Workplace {
  readonly #folder: string;
  readonly #tools: Tools;
  #places = 0;

  /** Makes the folder; it is removed when the process exits. */
  constructor(tools: Tools) {
    this.#tools = tools;
    this.#folder = mkdtempSync(join(tmpdir(), "alicorn-bench-"));
    process.on("exit", () => rmSync(this.#folder, { recursive: true, force: true }));
    chmodSync(this.#folder, 0o755); // Nginx's workers run as another user than its master.
    mkdirSync(this.#files);
    for (const [name, bytes] of Object.entries(fileSizes)) {
      writeFileSync(join(this.#files, name), line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes));
    }
    this.#createCertificate();
    if (tools.python && tools.django) this.#createDatabase(tools.python);
  }

  get #files(): string {
    return join(this.#folder, "files");
  }

  get #database(): string {
    return join(this.#folder, "fortunes.sqlite3");
  }

  get #certificate(): string {
    return join(this.#folder, "localhost");
  }

  /** RSA, as most certificates still are. */
  #createCertificate(): void {
    const files = ["-keyout", `${this.#certificate}.key`, "-out", `${this.#certificate}.crt`];
    const argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
    const { exitCode, stderr } = Bun.spawnSync([...argv, ...files], { stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`the certificate could not be made:\n${stderr.toString()}`);
  }

  #createDatabase(python: string): void {
    const env = { ...process.env, BENCH_DATABASE: this.#database, PYTHONDONTWRITEBYTECODE: "1" };
    const { exitCode, stderr } = Bun.spawnSync([python, join(apps, "django_page.py")], {
      env,
      stderr: "pipe",
      timeout: 60_000,
    });
    if (exitCode !== 0) throw new Error(`the Django database could not be created:\n${stderr.toString()}`);
  }

  /** A place for one more server instance. */
  async place(): Promise<Place> {
    const folder = join(this.#folder, `server-${++this.#places}`);
    mkdirSync(folder, { mode: 0o755 });
    return {
      port: await freePort(),
      folder,
      tools: this.#tools,
      cores: navigator.hardwareConcurrency,
      apps,
      certificate: this.#certificate,
      files: this.#files,
      database: this.#database,
    };
  }
}
