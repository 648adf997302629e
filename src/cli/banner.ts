/** What the user sees once the service answers. */
import { formatAddress } from "../base/address.ts";
import type { AppPlan, Plan } from "../master/plan.ts";
import type { Listening } from "../master/sockets.ts";
import { version } from "../master/version.ts";
import type { LocalCertificate } from "./local_certificate.ts";

export interface BannerOptions {
  readonly listening: readonly Listening[];
  /** What is served without Python. */
  readonly statics: readonly { readonly prefix: string; readonly root: string }[];
  /** It speaks HTTPS. */
  readonly secure: boolean;
  /** With a certificate made here. */
  readonly local: LocalCertificate | undefined;
  /** The output is a terminal. */
  readonly colours: boolean;
}

export function banner(plan: Plan, { listening, statics, secure, local, colours }: BannerOptions): string {
  const paint = (code: number, text: string) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  const { apps, webWorkers } = plan;
  const row = (name: string, text: string) => `  ${paint(2, name.padEnd(9))} ${text}\n`;
  const threads = ({ threads: each }: AppPlan) => (each === 1 ? "" : ` × ${each} threads`);
  return [
    `${paint(1, `Alicorn ${version}`)} serves ${paint(1, apps.map(({ app }) => app).join(", "))}\n`,
    ...listening.map(({ address }) => row("at", paint(36, urlOf(formatAddress(address), secure)))),
    ...(local === undefined ? [] : [row("trust", `${local.authority}, once, for no warning in the browser`)]),
    ...statics.map(({ prefix, root }) => row("static", `${prefix} from ${root}`)),
    ...apps.map((app) => row("Python", `${count(app.workers, "worker")}${threads(app)}, ${app.python}`)),
    row("HTTP", count(webWorkers, "web worker")),
    ...(apps.some(({ reload }) => reload) ? [row("reload", "a saved source file restarts the application")] : []),
    row("stop", `Ctrl-C, or kill -TERM ${process.pid}; new code: kill -HUP ${process.pid}`),
  ].join("");
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;
const urlOf = (address: string, secure: boolean): string =>
  address.startsWith("unix:") ? address : `${secure ? "https" : "http"}://${address.replace("0.0.0.0", "127.0.0.1")}`;
