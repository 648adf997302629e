/** The settings of the control socket, and Gunicorn's own client on it. */
import { expect, test } from "bun:test";
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { told, workersOf } from "../support/control.ts";
import { root, until } from "../support/server.ts";
import { place, start, text } from "./support.ts";

const gunicornc = join(root, "tests/.venv/bin/gunicornc");

async function say(command: string, env: Readonly<Record<string, string>>): Promise<string> {
  const child = Bun.spawn([gunicornc, "-j", "-c", command], { env: { ...process.env, ...env } });
  return new Response(child.stdout).text();
}

test.skipIf(!existsSync(gunicornc))("gunicornc finds it where Gunicorn's would be", async () => {
  using directory = place();
  const env = { XDG_RUNTIME_DIR: directory.path };
  await using server = await start(directory, ["-w", "2", "app:app"], { env });
  await server.logged(/Control socket listening at .*\/gunicorn\.ctl/);
  expect(lstatSync(join(directory.path, "gunicorn.ctl")).mode & 0o777).toBe(0o600);
  await until(async () => JSON.parse(await say("show workers", env)).count === 2, "two workers");
  const { workers } = JSON.parse(await say("show workers", env));
  expect(workers[0]).toMatchObject({ age: 1, booted: true });
  expect(JSON.parse(await say("show stats", env))).toMatchObject({ pid: server.pid, workers_target: 2, reloads: 0 });
  expect(JSON.parse(await say("worker add 1", env))).toEqual({ added: 1, previous: 2, total: 3 });
  expect(JSON.parse(await say(`worker kill ${workers[0].pid}`, env))).toEqual({
    success: true,
    killed: workers[0].pid,
  });
  expect(JSON.parse(await say("show listeners", env)).listeners[0]).toMatchObject({ type: "tcp" });
  expect(JSON.parse(await say("reload", env))).toEqual({ status: "reloading" });
  await server.logged(/The new workers serve/);
  expect(JSON.parse(await say("shutdown", env))).toEqual({ status: "shutting_down", mode: "graceful" });
  expect(await server.process.exited).toBe(0);
});

test("another path, another mode, none", async () => {
  using directory = place();
  const path = join(directory.path, "deep/control");
  const env = { XDG_RUNTIME_DIR: directory.path };
  {
    const args = ["--control-socket", "deep/control", "--control-socket-mode", "0o660", "app:app"];
    await using server = await start(directory, args, { env });
    await server.logged(/Control socket listening at/);
    expect(lstatSync(path).mode & 0o777).toBe(0o660);
    expect(await told<object>(path, "show", "stats")).toMatchObject({ pid: server.pid });
  }
  await using server = await start(directory, ["--no-control-socket", "app:app"], { env });
  expect(await text(server, "/")).toBe("hello");
  expect(existsSync(join(directory.path, "gunicorn.ctl"))).toBe(false);
  expect(server.output).not.toContain("ontrol socket");
});

test("a default that cannot be had is no matter", async () => {
  using directory = place();
  const env = { XDG_RUNTIME_DIR: "/proc/nowhere" };
  await using server = await start(directory, ["app:app"], { env });
  expect(await text(server, "/")).toBe("hello");
  expect(server.output).not.toContain("ontrol socket");
});

test("during an upgrade the first master keeps it; the second takes it over", async () => {
  using directory = place();
  const path = join(directory.path, "control");
  await using server = await start(directory, ["-p", "pid", "--control-socket", path, "app:app"]);
  server.signal("SIGUSR2");
  await until(() => existsSync(join(directory.path, "pid.2")), "the second master");
  expect(await told<object>(path, "show", "stats")).toMatchObject({ pid: server.pid });
  await server.stop("SIGTERM");
  const { pid } = await untilTold(path);
  expect(pid).not.toBe(server.pid);
  expect(await workersOf(path)).toHaveLength(1);
  process.kill(pid, "SIGTERM");
  await until(() => !existsSync(path), "the second has ended");
});

/** Waits until somebody answers. */
async function untilTold(path: string): Promise<{ readonly pid: number }> {
  let found: { readonly pid: number } | undefined;
  await until(async () => {
    found = await told<{ readonly pid: number }>(path, "show", "stats").catch(() => undefined);
    return found !== undefined;
  }, "somebody answers");
  return found ?? { pid: 0 };
}
