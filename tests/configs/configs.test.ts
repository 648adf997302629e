/**
 * Configurations as people write them, one a directory: `nginx -t` likes them, and what they serve is in the directory's requests.txt.
 *
 * In all files *.conf and in the table PORT, PORT2, UPSTREAM, UPSTREAM2, DOWN (where nobody listens), DIR and PYTHON are replaced; a server
 * listens at unix:DIR/upstream.sock, too. With CONFIGS_PROGRAM=/usr/sbin/nginx another program answers: so tables are compared with the original.
 */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { freePort, nginx } from "../support/nginx_server.ts";
import { parseResponses, type ReceivedResponse, valuesOf } from "../support/response.ts";
import { root, until } from "../support/server.ts";
import { ask } from "../support/socket.ts";
import { type Expectation, type FileStep, parseTable, type RequestStep, requestText } from "./table.ts";
import { Upstreams } from "./upstream.ts";

const program = process.env.CONFIGS_PROGRAM ?? nginx;
/** What only Alicorn has. */
const isOurs = (name: string): boolean => name.startsWith("app_");

const placeholders = /\b(PORT2?|UPSTREAM2?|DOWN|DIR|PYTHON)\b/g;

const names = readdirSync(import.meta.dir, { withFileTypes: true })
  .filter((each) => each.isDirectory())
  .map(({ name }) => name)
  .sort();

test("there are thirty", () => expect(names.length).toBeGreaterThanOrEqual(30));

describe.each(names)("%s", (name) => {
  test.skipIf(program !== nginx && isOurs(name))("loads and answers", async () => {
    using site = await Site.prepared(name);
    expect(await site.check()).toBe("");
    const server = await site.start();
    try {
      for (const step of parseTable(site.text("requests.txt"))) {
        const wrong = step.kind === "request" ? await site.request(step) : await site.file(step);
        expect([`${name}/requests.txt:${step.line}`, ...wrong]).toEqual([`${name}/requests.txt:${step.line}`]);
      }
    } finally {
      server.kill("SIGTERM");
      await server.exited;
    }
  });
});

/** A configuration's directory, with its placeholders filled in, and the servers behind it. */
class Site implements Disposable {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), "alicorn-test-")));
  readonly #port = freePort();
  readonly #upstreams: Upstreams;
  #words: Readonly<Record<string, string>> = {};

  private constructor(name: string) {
    // Whoever serves need not be who tests.
    chmodSync(this.directory, 0o755);
    cpSync(join(import.meta.dir, name), this.directory, { recursive: true });
    cpSync(join(import.meta.dir, "mime.types"), join(this.directory, "mime.types"));
    const answers = join(this.directory, "upstream.json");
    this.#upstreams = new Upstreams(existsSync(answers) ? JSON.parse(readFileSync(answers, "utf8")) : {});
  }

  static async prepared(name: string): Promise<Site> {
    const site = new Site(name);
    const upstreams = site.#upstreams;
    await upstreams.listen("socket", join(site.directory, "upstream.sock"));
    chmodSync(join(site.directory, "upstream.sock"), 0o777);
    site.#words = {
      PORT2: String(freePort()),
      PORT: String(site.#port),
      UPSTREAM2: `127.0.0.1:${await upstreams.listen("second")}`,
      UPSTREAM: `127.0.0.1:${await upstreams.listen("first")}`,
      DOWN: "127.0.0.1:1",
      DIR: site.directory,
      PYTHON: join(root, "tests/.venv/bin/python"),
    };
    const files = [...new Bun.Glob("**/*.conf").scanSync(site.directory)];
    for (const file of files) writeFileSync(join(site.directory, file), site.text(file));
    return site;
  }

  /** A file's text, with the placeholders filled in. */
  text(name: string): string {
    const text = readFileSync(join(this.directory, name), "latin1");
    return text.replace(placeholders, (word) => this.#words[word] ?? word);
  }

  get #args(): string[] {
    return ["-p", this.directory, "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off; user root;"];
  }

  /** What `-t` has to say besides that all is well. */
  async check(): Promise<string> {
    const checking = Bun.spawn([program, "-t", ...this.#args], { stdio: ["ignore", "ignore", "pipe"] });
    const said = await new Response(checking.stderr).text();
    const good = /^nginx: (the )?configuration file \S+ (syntax is ok|test is successful)\n/gm;
    return (await checking.exited) === 0 ? said.replace(good, "") : said;
  }

  async start(): Promise<Bun.Subprocess> {
    const server = Bun.spawn([program, ...this.#args], { stdio: ["ignore", "ignore", "ignore"] });
    const pid = join(this.directory, "nginx.pid");
    // Nginx leaves an empty one when it checks a configuration.
    const runs = (): boolean => existsSync(pid) && readFileSync(pid, "utf8") !== "";
    await until(() => runs() || server.exitCode !== null, "the pid file");
    if (!runs()) throw new Error(readFileSync(join(this.directory, "error.log"), "utf8"));
    return server;
  }

  /** What is wrong with the answer. */
  async request(step: RequestStep): Promise<string[]> {
    const received = await ask(this.#port, requestText(step));
    const [response] = parseResponses(received, [step.request.split(" ")[0] ?? ""]);
    if (response === undefined) return step.status === 444 ? [] : ["no answer"];
    const wrong = step.expected.flatMap((each) => unmet(each, response));
    if (response.status !== step.status) wrong.unshift(`status ${response.status}, not ${step.status}`);
    return wrong.length === 0 ? [] : [`${step.request}: ${wrong.join("; ")}`, received];
  }

  async file({ kind, path, expected }: FileStep): Promise<string[]> {
    const full = join(this.directory, path);
    if (kind === "TOUCH") writeFileSync(full, "");
    else if (kind === "REMOVE") rmSync(full);
    else if (kind === "GZIP") writeFileSync(`${full}.gz`, gzipSync(readFileSync(full)));
    else {
      const read = (): string =>
        kind === "ASKED" ? this.#upstreams.asked.join("\n") : existsSync(full) ? readFileSync(full, "latin1") : "";
      const missing = (): Expectation[] =>
        expected.filter((each) => each.kind === "fragment" && !read().includes(each.text));
      await until(() => missing().length === 0, `${JSON.stringify(missing())} in ${read()}`);
      return expected.flatMap((each) => (each.kind === "without" && read().includes(each.text) ? [each.text] : []));
    }
    return [];
  }

  [Symbol.dispose](): void {
    this.#upstreams[Symbol.dispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function unmet(expected: Expectation, response: ReceivedResponse): string[] {
  if (expected.kind === "fragment")
    return response.body.includes(expected.text) ? [] : [`"${expected.text}" is not in the body`];
  if (expected.kind === "without") return response.body.includes(expected.text) ? [`"${expected.text}" is in it`] : [];
  if (expected.kind === "body")
    return response.body.trimEnd() === expected.text ? [] : [`the body is not "${expected.text}"`];
  const values = valuesOf(response, expected.name);
  if (expected.kind === "absent") return values.length === 0 ? [] : [`there is ${expected.name}: ${values}`];
  if (expected.kind === "field")
    return values.includes(expected.value) ? [] : [`${expected.name} is ${values}, not ${expected.value}`];
  return values.some((each) => expected.pattern.test(each)) ? [] : [`${expected.name} is ${values}`];
}
