/**
 * A web worker's place filled by something simpler, for tests of the master: it accepts on every inherited socket and answers each
 * request with who it is. `/hold` waits for a file, so that a test decides when a request ends.
 */
import { existsSync } from "node:fs";
import type { Socket } from "bun";
import { firstInherited, type WorkerOrder, type WorkerPlan } from "../../src/worker/plan.ts";

interface Open {
  busy: boolean;
}

const connections = new Set<Socket<Open>>();
let draining = false;

function answer(socket: Socket<Open>, body: string): void {
  socket.write(
    `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${draining ? "Connection: close\r\n" : ""}\r\n${body}`,
  );
  socket.data.busy = false;
  if (draining) socket.end();
}

function start(plan: WorkerPlan): () => void {
  const first = firstInherited + 1 + 2 * plan.apps.length + plan.zones.length;
  const name = plan.configuration.file;
  const servers = plan.listeners.map(({ key }, i) => {
    const options = {
      fd: first + i,
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open(socket: Socket<Open>) {
          socket.data = { busy: false };
          connections.add(socket);
        },
        close: (socket: Socket<Open>) => void connections.delete(socket),
        async data(socket: Socket<Open>, bytes: Buffer) {
          socket.data.busy = true;
          const [, path = ""] = bytes.toString().split(" ");
          const gate = /^\/hold\?(.*)/.exec(path)?.[1];
          while (gate !== undefined && !existsSync(gate)) await Bun.sleep(5);
          answer(socket, `${process.pid} ${key} ${name} ${process.ppid}`);
        },
      },
    };
    return Bun.listen<Open>(options);
  });
  process.send?.({ type: "serving" });
  return () => {
    for (const server of servers) server.stop(false);
  };
}

let stop: (() => void) | undefined;
process.on("message", (order: WorkerOrder) => {
  if (order.type === "start") stop = start(order);
  if (order.type !== "drain") return;
  stop?.();
  draining = true;
  for (const socket of connections) if (!socket.data.busy) socket.end();
  if (order.withinMs > 0) setTimeout(() => process.exit(0), order.withinMs);
  setInterval(() => connections.size === 0 && process.exit(0), 5);
});
process.on("disconnect", () => process.exit(0));
for (const signal of ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const)
  process.on(signal, () => {});
