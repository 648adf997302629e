/** The four ways to run the same two applications: nobody who asks them can tell which one it is, apart from what differences.ts names. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { python } from "../app/support.ts";
import { NginxServer, nginx as ours } from "../support/nginx_server.ts";
import { Directory, root, Server } from "../support/server.ts";

const theirs = Bun.which("nginx");
const gunicorn = join(root, "tests/.venv/bin/gunicorn");
export const hasGunicorn = existsSync(gunicorn);
const apps = join(import.meta.dir, "apps");
const configuration = readFileSync(join(import.meta.dir, "nginx.conf.txt"), "utf8");

/** Each application's name, which is also the first part of its host name, and what a server calls it. */
const modules = { pieces: "pieces:app", guestbook: "guestbook.wsgi:application" } as const;
export type AppName = keyof typeof modules;

export interface SetUp {
  readonly name: "Nginx, Gunicorn" | "Nginx, Alicorn" | "Alicorn, Gunicorn" | "Alicorn alone";
  /** The program that reads nginx.conf; null: it is not installed. */
  readonly web: string | null;
  /** Who runs the applications; undefined: the web server itself does. */
  readonly app: "gunicorn" | "alicorn" | undefined;
}

export const setUps: readonly SetUp[] = [
  { name: "Nginx, Gunicorn", web: theirs, app: "gunicorn" },
  { name: "Nginx, Alicorn", web: theirs, app: "alicorn" },
  { name: "Alicorn, Gunicorn", web: ours, app: "gunicorn" },
  { name: "Alicorn alone", web: ours, app: undefined },
];

/** What would have to be installed; undefined: nothing. */
export function missingProgram({ web, app }: SetUp): string | undefined {
  if (web === null) return "nginx on the PATH";
  return app === "gunicorn" && !hasGunicorn ? `${gunicorn} (npm test makes it)` : undefined;
}

/** Starts an application behind a Unix socket. */
export function startApp(
  server: "gunicorn" | "alicorn",
  socket: string,
  module: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const args = ["--chdir", apps, "--bind", `unix:${socket}`, "--workers", "2", module];
  if (server === "alicorn") return Server.start(["--python", python, ...args], { ownBind: true, env });
  return Server.start(args, { ownBind: true, env, program: gunicorn, started: /Booting worker/ });
}

/** The configuration with applications of its own: a block in place of each upstream, a word in place of `proxy_pass`. */
const inside = (text: string): string =>
  text
    .replace(
      /upstream (\w+) \{.*\}/g,
      (_, name: AppName) => `app ${name} { module ${modules[name]}; python ${python}; chdir ${apps}; workers 2; }`,
    )
    .replaceAll("proxy_pass http://", "app_pass ");

/** A web server with both applications. */
export class Running implements AsyncDisposable {
  readonly setUp: SetUp;
  readonly web: NginxServer;
  readonly #apps: readonly Server[];
  readonly #directory: Directory;

  private constructor(setUp: SetUp, web: NginxServer, behind: readonly Server[], directory: Directory) {
    this.setUp = setUp;
    this.web = web;
    this.#apps = behind;
    this.#directory = directory;
  }

  /** `files`: names below the directory for files (public) and contents. */
  static async start(setUp: SetUp, files: Readonly<Record<string, string | Uint8Array>>): Promise<Running> {
    const { web: program, app } = setUp;
    if (program === null) throw new Error(`there is no ${missingProgram(setUp)}`);
    const directory = new Directory(files);
    const collected = Bun.spawn([python, "-m", "django", "collectstatic", "--noinput"], {
      cwd: apps,
      env: {
        ...process.env,
        PYTHONPATH: apps,
        DJANGO_SETTINGS_MODULE: "guestbook.settings",
        STATIC_ROOT: join(directory.path, "public/static"),
      },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const start = ([name, module]: [string, string]): Promise<Server>[] =>
      app === undefined ? [] : [startApp(app, join(directory.path, `${name}.sock`), module)];
    const [status, ...behind] = await Promise.all([collected.exited, ...Object.entries(modules).flatMap(start)]);
    if (status !== 0) throw new Error("collectstatic failed");
    const web = await NginxServer.start((port) => {
      const text = app === undefined ? inside(configuration) : configuration;
      return text.replaceAll("DIR", directory.path).replaceAll("PORT", String(port));
    }, program);
    return new Running(setUp, web, behind, directory);
  }

  /** What the applications have said; of those inside the web server, what it has said. */
  get said(): string {
    return this.#apps.length === 0 ? this.web.log : this.#apps.map(({ output }) => output).join("");
  }

  host(app: AppName): string {
    return `${app}.test:${this.web.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.web[Symbol.asyncDispose]();
    await Promise.all(this.#apps.map((each) => each[Symbol.asyncDispose]()));
    this.#directory[Symbol.dispose]();
  }
}
