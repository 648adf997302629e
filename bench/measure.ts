/** What a tree of processes has consumed: CPU time in nanoseconds and memory in bytes, read from the kernel. */
import { dlopen, ptr } from "bun:ffi";
import { readdirSync, readFileSync } from "node:fs";

const { symbols: libc } = dlopen("libc.so.6", { clock_gettime: { args: ["i32", "ptr"], returns: "i32" } });
const timespec = new BigInt64Array(2);

/**
 * CPU time of one process, all its threads (ended ones too) together, or undefined when it is gone.
 * By its CPU clock, since /proc/PID/stat counts hundredths of a second and /proc/PID/schedstat only the first thread.
 */
function cpuNs(pid: number): number | undefined {
  const clock = (~pid << 3) | 2; // clock_getcpuclockid(3): CPUCLOCK_SCHED of a process
  if (libc.clock_gettime(clock, ptr(timespec)) !== 0) return undefined;
  return Number(timespec[0]) * 1e9 + Number(timespec[1]);
}

/** `roots` that live, and all their descendants. */
export function processTree(roots: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    const parent = Number.isInteger(pid) ? parentOf(pid) : undefined;
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings) siblings.push(pid);
    else children.set(parent, [pid]);
  }
  const found: number[] = [];
  const open = roots.filter((pid) => parentOf(pid) !== undefined);
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    found.push(pid);
    open.push(...(children.get(pid) ?? []));
  }
  return found;
}

const parentOf = (pid: number): number | undefined => {
  const parent = statField(pid, 4);
  return parent === undefined ? undefined : Number(parent);
};

/** When the process was started, in ticks since the machine's start; undefined when it is gone. */
export const startedAt = (pid: number): string | undefined => statField(pid, 22);

/** A field of /proc/PID/stat by its number in proc(5), from 3 on. */
function statField(pid: number, field: number): string | undefined {
  try {
    // "PID (name, with anything in it) STATE PPID …"
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[field - 3];
  } catch {
    return undefined; // It has ended meanwhile.
  }
}

/** CPU time of each process of a tree at one moment. */
export type CpuSnapshot = ReadonlyMap<number, number>;

/** Takes the CPU time of `roots` and their descendants. */
export function cpuSnapshot(roots: readonly number[]): CpuSnapshot {
  const found = new Map<number, number>();
  for (const pid of processTree(roots)) {
    const used = cpuNs(pid);
    if (used !== undefined) found.set(pid, used);
  }
  return found;
}

/** CPU time between two snapshots, and how many processes ended between them, whose share is lost. */
export function cpuBetween(before: CpuSnapshot, after: CpuSnapshot): { ns: number; ended: number } {
  let ns = 0;
  for (const [pid, used] of after) ns += used - (before.get(pid) ?? 0);
  return { ns, ended: [...before.keys()].filter((pid) => !after.has(pid)).length };
}

/** What the whole machine and we ourselves have used at one moment. */
export interface MachineSnapshot {
  atMs: number;
  /** All cores; what the hypervisor took away counts as used. */
  busyNs: number;
  /** The benchmark and the load generators that it has started and waited for. */
  ownNs: number;
}

const tickNs = 1e7; // USER_HZ is 100 on every Linux that Bun runs on.

export function machineSnapshot(): MachineSnapshot {
  // "cpu  user nice system idle iowait irq softirq steal …"
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = readFileSync("/proc/stat", "latin1")
    .slice(5)
    .split(" ", 8)
    .map(Number);
  const own = [14, 15, 16, 17].reduce((sum, field) => sum + Number(statField(process.pid, field) ?? 0), 0);
  const busy = user + nice + system + irq + softirq + steal;
  return { atMs: performance.now(), busyNs: busy * tickNs, ownNs: own * tickNs };
}

/** The share (0 to 1) of all cores' time that went to others than us and the server, which used `serverNs`. */
export function machineBetween(before: MachineSnapshot, after: MachineSnapshot, serverNs: number): number {
  const others = after.busyNs - before.busyNs - (after.ownNs - before.ownNs) - serverNs;
  const whole = (after.atMs - before.atMs) * 1e6 * navigator.hardwareConcurrency;
  return Math.max(0, others / whole);
}

/** Memory of `roots` and their descendants: PSS, so that pages shared by several processes count once; RSS without it. */
export function memoryBytes(roots: readonly number[]): number {
  let total = 0;
  for (const pid of processTree(roots))
    total += kilobytes(pid, "smaps_rollup", "Pss") ?? kilobytes(pid, "status", "VmRSS") ?? 0;
  return total * 1024;
}

function kilobytes(pid: number, file: string, field: string): number | undefined {
  try {
    const found = readFileSync(`/proc/${pid}/${file}`, "latin1").match(new RegExp(`^${field}:\\s+(\\d+) kB`, "m"));
    return found ? Number(found[1]) : undefined;
  } catch {
    return undefined;
  }
}
