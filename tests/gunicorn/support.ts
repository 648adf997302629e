/** The program with Gunicorn's command line. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Ended, ended } from "../support/command.ts";
import { Directory, root, Server, type StartOptions, until } from "../support/server.ts";

export const gunicorn = join(root, "bin/gunicorn");

/** Answers with what it is asked for: `/pid`, `/env/NAME`, `/environ/KEY`, `/sleep/SECONDS`; else "hello". */
export const app = `
import os, sys, time

def app(environ, start_response):
    _, what, *rest = environ["PATH_INFO"].split("/", 2)
    rest = rest[0] if rest else ""
    text = "hello"
    if what == "pid":
        text = str(os.getpid())
    elif what == "env":
        text = os.environ.get(rest, "-")
    elif what == "environ":
        text = str(environ.get(rest, "-"))
    elif what == "cwd":
        text = os.getcwd()
    elif what == "sleep":
        time.sleep(float(rest))
    elif what == "print":
        print(rest, flush=True)
    elif what == "fail":
        raise RuntimeError("on purpose")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Says", "so")])
    return [text.encode()]

application = app
`;

export interface Files {
  readonly [name: string]: string;
}

/** A directory with the application and these files. */
export const place = (files: Files = {}): Directory => new Directory({ "app.py": app, ...files });

/** Starts it there, on a free port unless the arguments or files bind it. Its control socket stays there, too. */
export const start = (directory: Directory, args: readonly string[], options: StartOptions = {}): Promise<Server> =>
  Server.start(args, {
    cwd: directory.path,
    program: gunicorn,
    started: /Listening at/,
    ...options,
    env: { XDG_RUNTIME_DIR: directory.path, ...options.env },
  });

/** What it says and how it ends, where it does not serve. */
export const run = (
  directory: Directory,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> =>
  ended(
    Bun.spawn([gunicorn, ...args], {
      cwd: directory.path,
      env: { ...process.env, XDG_RUNTIME_DIR: directory.path, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );

export const text = async (server: Server, path: string): Promise<string> => (await server.fetch(path)).text();

/** A Unix socket of datagrams, `datagrams`: what arrives is a line of the file `heard`. Python's, since the runtime knows no such sockets. */
export async function listening(directory: Directory): Promise<AsyncDisposable> {
  const script = `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("datagrams")
open("ready", "w").close()
while True:
    with open("heard", "ab") as heard:
        heard.write(s.recv(65536) + b"\\n")
`;
  const child = Bun.spawn(["python3", "-c", script], { cwd: directory.path, stdio: ["ignore", "ignore", "inherit"] });
  await until(() => existsSync(join(directory.path, "ready")), "the listener");
  return {
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}
