/** `alicorn ctl`: asks a running service over its control socket what it does, and tells it what to do. */
import { homedir } from "node:os";
import { join } from "node:path";
import { commandList } from "../master/control_commands.ts";
import { textOf } from "./ctl_text.ts";

const help = `usage: alicorn ctl [-s PATH] [--json] COMMAND

Asks a running service over its control socket: Alicorn's own (--control-socket, control_socket in nginx.conf) or Gunicorn's.

  -s, --socket PATH
        The socket. [$XDG_RUNTIME_DIR/gunicorn.ctl, or ~/.gunicorn/gunicorn.ctl]
  -j, --json
        Print the answer as JSON.
  -h, --help
        Print this help and exit.

Commands:
${commandList.map(([words, summary]) => `  ${words}\n        ${summary}`).join("\n")}
`;

interface Asked {
  readonly path: string;
  readonly json: boolean;
  readonly words: readonly string[];
}

/** Runs a command line to its end and exits the process with its code. */
export async function main(args: readonly string[]): Promise<never> {
  process.exit(await run(args));
}

async function run(args: readonly string[]): Promise<number> {
  const asked = readArguments(args, process.env);
  if (asked === "help") {
    process.stdout.write(help);
    return 0;
  }
  if (typeof asked === "string") return complain(`${asked} (alicorn ctl --help)`, 2);
  try {
    const answer = await ask(asked.path, asked.words.join(" "));
    if (answer.status !== "ok") return complain(answer.error ?? "the service did not understand", 1);
    const data = answer.data ?? {};
    process.stdout.write(asked.json ? `${JSON.stringify(data, null, 2)}\n` : textOf(asked.words, data));
    return 0;
  } catch (error) {
    return complain(`nobody answers at ${asked.path}: ${(error as Error).message}`, 1);
  }
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`alicorn ctl: ${message}\n`);
  return exitCode;
}

/** "help", or a sentence that says what is wrong. */
export function readArguments(args: readonly string[], environment: NodeJS.ProcessEnv): Asked | string {
  let path = usualPath(environment);
  let json = false;
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [flag = "", joined] = args[i]?.startsWith("--") ? (args[i]?.split(/=(.*)/s) ?? []) : [args[i]];
    if (flag === "-h" || flag === "--help") return "help";
    if (flag === "-j" || flag === "--json") json = true;
    else if (flag === "-s" || flag === "--socket" || flag === "-c" || flag === "--command") {
      const value = joined ?? args[++i];
      if (value === undefined) return `${flag} needs a value`;
      if (flag.endsWith("s") || flag === "--socket") path = value;
      else words.push(value);
    } else if (flag.startsWith("-")) return `there is no option ${flag}`;
    else words.push(flag);
  }
  if (words.length === 0) return "say what you want to know or to happen, for example: alicorn ctl show workers";
  return { path, json, words: words.flatMap((word) => word.split(/\s+/)).filter((word) => word !== "") };
}

/** Gunicorn's default. */
function usualPath({ XDG_RUNTIME_DIR: runtime, HOME: home }: NodeJS.ProcessEnv): string {
  return runtime ? join(runtime, "gunicorn.ctl") : join(home ?? homedir(), ".gunicorn/gunicorn.ctl");
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** One request over a connection of its own. */
function ask(path: string, command: string): Promise<Answer> {
  const request = Buffer.from(JSON.stringify({ id: 1, command, args: [] }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(request.length);
  let bytes = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const given = Bun.connect({
      unix: path,
      socket: {
        open: (socket) => void socket.write(Buffer.concat([length, request])),
        data(socket, more) {
          bytes = Buffer.concat([bytes, more]);
          if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) return;
          resolve(JSON.parse(bytes.toString("utf8", 4, 4 + bytes.readUInt32BE(0))) as Answer);
          socket.end();
        },
        close: () => reject(new Error("it has hung up")),
        error: (_, error) => reject(error),
      },
    });
    given.catch(reject);
  });
}
