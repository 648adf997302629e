/** What the user sees once the service answers. */
import { formatAddress } from "../base/address.ts";
import { version } from "../master/arbiter.ts";
import type { Plan } from "../master/plan.ts";
import type { Listening } from "../master/sockets.ts";

/** `colours`: the output is a terminal. */
export function banner(plan: Plan, listening: readonly Listening[], colours: boolean): string {
  const paint = (code: number, text: string) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  const { app, site, webWorkers } = plan;
  const row = (name: string, text: string) => `  ${paint(2, name.padEnd(9))} ${text}\n`;
  const threads = app.threads === 1 ? "" : ` × ${app.threads} threads`;
  return [
    `${paint(1, `Alicorn ${version}`)} serves ${paint(1, app.app)}\n`,
    ...listening.map(({ address }) => row("at", paint(36, urlOf(formatAddress(address))))),
    ...site.statics.map(({ prefix, root }) => row("static", `${prefix} from ${root}`)),
    row("Python", `${count(app.workers, "worker")}${threads}, ${app.python}`),
    row("HTTP", count(webWorkers, "web worker")),
    ...(app.reload ? [row("reload", "a saved source file restarts the application")] : []),
    row("stop", `Ctrl-C, or kill -TERM ${process.pid}; new code: kill -HUP ${process.pid}`),
  ].join("");
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;
const urlOf = (address: string): string =>
  address.startsWith("unix:") ? address : `http://${address.replace("0.0.0.0", "127.0.0.1")}`;
