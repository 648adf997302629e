/** docs/nginx.md: what it shows is true. Configurations load, and its sessions print what they are shown to print. */
import { expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, nginx } from "../support/nginx_server.ts";
import { Directory, root, until } from "../support/server.ts";

const page = readFileSync(join(root, "docs/nginx.md"), "utf8");

const blocks = (language: string): string[] =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, name, text = ""]) =>
    name === language ? [text] : [],
  );

/** The page's paths lie in a directory of the test's. */
class Machine implements Disposable {
  readonly directory = new Directory();
  readonly #port = String(freePort());

  constructor() {
    for (const name of ["etc/nginx", "run", "var/log/nginx", "srv/www", "srv/shop/static", "srv/site/public", "bin"])
      mkdirSync(join(this.directory.path, name), { recursive: true });
    this.directory.write(
      "srv/site/app.py",
      "def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n",
    );
    // The defaults are the machine's own paths: named, they are ours.
    const words = `-p ${this.here("/etc/nginx/")} -e ${this.here("/var/log/nginx/error.log")}`;
    const run = (program: string): string => `#!/bin/sh\nexec ${program} ${words} "$@"\n`;
    this.#program("bin/nginx", run(nginx));
    this.#program(
      "bin/alicorn",
      `#!/bin/sh\nif [ "$1" = nginx ]; then shift; exec ${this.here("bin/nginx")} "$@"; fi\nexec ${root}/bin/alicorn "$@"\n`,
    );
  }

  #program(name: string, text: string): void {
    writeFileSync(join(this.directory.path, name), text, { mode: 0o755 });
  }

  here(text: string): string {
    const { path } = this.directory;
    return text
      .replace(/(?<![\w.])(\/(?:etc|run|srv|var)\b|bin\/nginx\b)/g, (each) => join(path, each))
      .replaceAll("8080", this.#port);
  }

  /** What a command prints, with the page's paths. */
  async run(command: string): Promise<string> {
    const shell = Bun.spawn(["sh", "-c", this.here(command)], {
      cwd: this.directory.path,
      env: { ...process.env, PATH: `${join(this.directory.path, "bin")}:${process.env.PATH}` },
      stdio: ["ignore", "pipe", "pipe"],
    });
    // Who stays in the background keeps the pipes; the shell's end is the command's.
    if (/&$|^alicorn nginx$/.test(command)) {
      await shell.exited;
      return "";
    }
    const [out, err] = await Promise.all([new Response(shell.stdout).text(), new Response(shell.stderr).text()]);
    return (out + err).replaceAll(`${this.directory.path}/`, "/").replaceAll(this.#port, "8080");
  }

  /** The same, again and again until it is what is expected: signals take their time. */
  async look(command: string, expected: string): Promise<string> {
    let printed = "";
    const isThere = async (): Promise<boolean> => {
      printed = await this.run(command);
      return printed === expected;
    };
    await until(isThere, command).catch(() => {});
    return printed;
  }

  [Symbol.dispose](): void {
    for (const name of ["run/nginx.pid", "run/nginx.pid.oldbin"]) {
      const file = join(this.directory.path, name);
      if (existsSync(file)) process.kill(Number(readFileSync(file, "utf8")), "SIGTERM");
    }
    this.directory[Symbol.dispose]();
  }
}

test.each(blocks("nginx"))("a configuration: %s", async (text) => {
  using machine = new Machine();
  const whole = /^http \{/m.test(text) ? text : `events { }\nhttp {\n${text}}\n`;
  machine.directory.write("etc/nginx/nginx.conf", machine.here(whole));
  expect(await machine.run("alicorn nginx -t -q")).toBe("");
});

interface Command {
  readonly words: string;
  readonly output: string;
}

const sessions = blocks("console").map((text) =>
  text
    .split(/^\$ /m)
    .slice(1)
    .map((each): Command => {
      const end = each.indexOf("\n");
      return { words: each.slice(0, end), output: each.slice(end + 1) };
    }),
);

/** What may be done again, for it changes nothing. */
const onlyLooks = /^(curl|ls) /;

test("the sessions, one after the other", async () => {
  using machine = new Machine();
  machine.directory.write("etc/nginx/nginx.conf", machine.here(blocks("nginx")[0] ?? ""));
  const pid = join(machine.directory.path, "run/nginx.pid");
  for (const { words, output } of sessions.flat()) {
    const printed = await (onlyLooks.test(words) ? machine.look(words, output) : machine.run(words));
    expect(`$ ${words}\n${printed}`).toBe(`$ ${words}\n${output}`);
    if (/ -s (quit|stop)$/.test(words)) await until(() => !existsSync(pid), "it has ended");
  }
});

const original = Bun.which("nginx");

test.skipIf(original === null)("a running Nginx is replaced: a link, USR2, QUIT", async () => {
  using machine = new Machine();
  const { path } = machine.directory;
  const port = freePort();
  const conf = `pid DIR/run/nginx.pid; error_log DIR/run/error.log;
    ${process.getuid?.() === 0 ? "user root;" : ""}
    events { } http { access_log off; server { listen 127.0.0.1:${port}; return 200; } }
    `;
  machine.directory.write("etc/nginx/nginx.conf", conf.replaceAll("DIR", path));
  const program = join(path, "sbin/nginx");
  mkdirSync(join(path, "sbin"));
  copyFileSync(original ?? "", program);
  await Bun.spawn([program, "-c", join(path, "etc/nginx/nginx.conf")], { stdio: ["ignore", "ignore", "ignore"] })
    .exited;
  const pid = join(path, "run/nginx.pid");
  const old = `${pid}.oldbin`;
  const idOf = (file: string): number => (existsSync(file) ? Number(readFileSync(file, "utf8")) : 0);
  const answering = async (): Promise<string | null> =>
    (await fetch(`http://127.0.0.1:${port}/`, { headers: { Connection: "close" } })).headers.get("server");
  await until(() => idOf(pid) > 0, "Nginx runs");
  expect(await answering()).toStartWith("nginx");

  rmSync(program);
  symlinkSync(nginx, program);
  process.kill(idOf(pid), "SIGUSR2");
  await until(() => idOf(old) > 0 && idOf(pid) > 0 && idOf(pid) !== idOf(old), "both run");
  process.kill(idOf(old), "SIGQUIT");
  await until(() => !existsSync(old), "the old one has ended");
  expect(await answering()).toStartWith("alicorn");
});

test("the directives that it calls ours are in the reference", () => {
  const reference = readFileSync(join(root, "docs/directives.md"), "utf8");
  for (const name of ["app", "app_pass", "files", "files_cache_control", "request_parsing", "error_log_style"])
    expect(reference).toContain(`| \`${name}\` |`);
});

test("the files that it points to exist", () => {
  const links = [...page.matchAll(/\]\(([^):#]+)\)/g)].map(([, to = ""]) => join(root, "docs", to));
  expect(links.length).toBeGreaterThan(3);
  expect(links.filter((each) => !existsSync(each))).toEqual([]);
});
