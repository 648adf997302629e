/** Answers of a control socket, for people: tables. Fields that another server does not send are left out. */

type Data = Readonly<Record<string, unknown>>;

/** What is printed; ends with a line feed. */
export function textOf(words: readonly string[], data: Data): string {
  const [verb, what] = words;
  if (verb === "stack") return stacks(data);
  if (verb === "help") return table(Object.entries(data.commands ?? {}));
  if (verb === "show" && what === "workers") return workers(listOf(data.workers));
  if (verb === "show" && what === "all") return all(data);
  if (verb === "show" && what === "listeners")
    return table(listOf(data.listeners).map(({ address, type }) => [String(address), String(type)]));
  return table(Object.entries(data).map(([name, value]) => [name, plain(value)]));
}

const listOf = (value: unknown): readonly Data[] => (Array.isArray(value) ? (value as Data[]) : []);

const plain = (value: unknown): string =>
  value === null ? "-" : typeof value === "object" ? JSON.stringify(value) : String(value);

/** Columns as wide as they need to be; the last one is as long as it is. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}

function workers(all: readonly Data[]): string {
  if (all.length === 0) return "no workers\n";
  const heads = ["PID", "AGE", "STATE", "UP", "REQUESTS", "MEMORY", "DOING"];
  return table([heads, ...all.flatMap(workerRows)]);
}

function workerRows(worker: Data): string[][] {
  const { pid, age, state, booted, uptime, requests, rss, busy_for: busy } = worker;
  const doing = listOf(worker.doing).map(doingText);
  const stands =
    state === "ready" && typeof busy === "number" ? "busy" : (state ?? (booted === true ? "ready" : "booting"));
  const idle = typeof busy === "number" ? `something for ${duration(busy)}` : "";
  const [first = idle, ...others] = doing;
  return [
    [String(pid), String(age), String(stands), duration(uptime), plain(requests ?? null), bytes(rss), first],
    ...others.map((each) => ["", "", "", "", "", "", each]),
  ];
}

function doingText({ method, target, seconds, waited, client_gone: gone }: Data): string {
  const notes = [
    duration(seconds),
    ...(typeof waited === "number" && waited > 0 ? [`${duration(waited)} of it waiting for a worker`] : []),
    ...(gone === true ? ["its client is gone"] : []),
  ];
  return `${method} ${printable(String(target))} (${notes.join(", ")})`;
}

/** A client's words must not talk to the terminal. */
const printable = (text: string): string =>
  text.replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);

function all({ arbiter, web_workers: web, http_workers: http }: Data): string {
  const { pid } = (arbiter ?? {}) as Data;
  const numbers = Array.isArray(http) ? http.join(" ") : "-";
  return `master       ${pid}\nweb workers  ${numbers}\n\n${workers(listOf(web))}`;
}

const stacks = (data: Data): string =>
  listOf(data.stacks)
    .map(({ pid, text }) => `worker ${pid}\n${text === "" ? "it does not answer\n" : String(text)}`)
    .join("\n");

function duration(value: unknown): string {
  if (typeof value !== "number") return "-";
  if (value < 100) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  if (value < 6000) return `${Math.floor(value / 60)} min`;
  return value < 172_800 ? `${Math.floor(value / 3600)} h` : `${Math.floor(value / 86_400)} d`;
}

const bytes = (value: unknown): string =>
  typeof value === "number" && value > 0 ? `${(value / 1_048_576).toFixed(1)} MB` : "-";
