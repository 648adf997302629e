/** `nginx …` as scripts use it: what it prints, where, and its exit codes. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { answering, freePort, isAlive, NginxServer, nginx } from "../support/nginx_server.ts";
import { Directory, until } from "../support/server.ts";

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(args: readonly string[], program = nginx): Promise<Outcome> {
  const process = Bun.spawn([program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, code] = await Promise.all([
    new Response(process.stdout).text(),
    new Response(process.stderr).text(),
    process.exited,
  ]);
  return { code, out, err };
}

/** A directory with this configuration, and the words that name it. */
function configured(text: string): { directory: Directory; path: string; args: string[] } {
  const directory = new Directory({ "nginx.conf": text });
  const args = ["-p", directory.path, "-c", "nginx.conf", "-e", "error.log"];
  return { directory, path: join(directory.path, "nginx.conf"), args };
}

test("-v, -V and -h", async () => {
  expect(await run(["-v"])).toEqual({
    code: 0,
    out: "",
    err: expect.stringMatching(/^nginx version: nginx\/1\.31\.5\nalicorn version: \d\S+\n$/),
  });
  expect((await run(["-V"])).err).toMatch(/^nginx version: nginx\/1\.31\.5\n[\s\S]*^configure arguments: --with/m);
  const { code, err } = await run(["-?"]);
  expect(code).toBe(0);
  for (const letter of "hvVtTqspecg") expect(err).toContain(`-${letter}`);
});

test("a command line that cannot be understood", async () => {
  expect(await run(["-c"])).toEqual({ code: 1, out: "", err: 'nginx: option "-c" requires file name\n' });
  expect(await run(["-s", "foo"])).toEqual({ code: 1, out: "", err: 'nginx: invalid option: "-s foo"\n' });
  expect(await run(["foo"])).toEqual({ code: 1, out: "", err: 'nginx: invalid option: "foo"\n' });
});

test("-t: a configuration that is fine", async () => {
  const { directory, path, args } = configured(answering(freePort(), "one"));
  using _ = directory;
  expect(await run(["-t", ...args])).toEqual({
    code: 0,
    out: "",
    err:
      `nginx: the configuration file ${path} syntax is ok\n` + `nginx: configuration file ${path} test is successful\n`,
  });
  expect(await run(["-tq", ...args])).toEqual({ code: 0, out: "", err: "" });
  expect(existsSync(join(directory.path, "nginx.pid"))).toBe(false);
});

test("-t: one that is not", async () => {
  const { directory, path, args } = configured("events { }\nhttp {\n  no_such_directive on;\n}\n");
  using _ = directory;
  const { code, err } = await run(["-t", ...args]);
  expect(code).toBe(1);
  expect(err).toBe(
    `nginx: [emerg] unknown directive "no_such_directive" in ${path}:3\nnginx: configuration file ${path} test failed\n`,
  );
  expect(readFileSync(join(directory.path, "error.log"), "utf8")).toMatch(
    /^\d{4}\/\d\d\/\d\d [\d:]{8} \[emerg\] \d+#0: unknown directive "no_such_directive" in \S+:3\n$/,
  );
  expect((await run(["-tq", ...args])).err).toBe(err);
});

test("-t: a file that is not there, and an address that this machine does not have", async () => {
  const { directory, path, args } = configured("events { } http { server { listen 192.0.2.1:8000; } }");
  using _ = directory;
  expect((await run(["-t", ...args])).err).toContain(
    "nginx: [emerg] bind() to 192.0.2.1:8000 failed (99: Cannot assign requested address)\n",
  );
  const missing = `${path}.missing`;
  expect((await run(["-t", "-e", "stderr", "-c", missing])).err).toMatch(
    /\[emerg\] .*open\(\) "\S+\.missing" failed \(2: No such file or directory\)\n/,
  );
});

test("-T prints all files", async () => {
  const { directory, path, args } = configured("events { }\ninclude more.conf;\n");
  using _ = directory;
  directory.write("more.conf", "http { }\n");
  const { code, out } = await run(["-T", ...args]);
  expect(code).toBe(0);
  expect(out).toBe(
    `# configuration file ${path}:\nevents { }\ninclude more.conf;\n\n` +
      `# configuration file ${join(directory.path, "more.conf")}:\nhttp { }\n\n`,
  );
});

test("-g stands before the file, and is checked like it", async () => {
  const { directory, args } = configured("events { }\nhttp { }\n");
  using _ = directory;
  expect((await run(["-t", ...args, "-g", "pid other.pid; worker_processes 2;"])).code).toBe(0);
  const { code, err } = await run(["-t", ...args, "-g", "no_such_directive on;"]);
  expect(code).toBe(1);
  expect(err).toMatch(/^nginx: \[emerg\] unknown directive "no_such_directive" in command line/);
});

test("an error log that cannot be opened is said, and is no reason not to go on", async () => {
  const { directory, args } = configured("events { }\nhttp { }\n");
  using _ = directory;
  const { code, err } = await run(["-t", ...args, "-e", "no/such/directory"]);
  expect(code).toBe(0);
  expect(err).toStartWith(
    `nginx: [alert] could not open error log file: open() "${directory.path}/no/such/directory" failed (2: No such file or directory)\n`,
  );
});

test("-s: the running server reloads, opens its logs anew, and ends", async () => {
  await using server = await NginxServer.start((port) => answering(port, "one"));
  server.configure(answering(server.port, "two"));
  expect(await run(server.args("-s", "reload"))).toEqual({ code: 0, out: "", err: "" });
  await until(async () => (await server.text()).startsWith("two "), "the new configuration");
  expect((await run(server.args("-s", "reopen"))).code).toBe(0);
  await server.logged(/signal 10 \(SIGUSR1\) received, reopening logs/);
  expect((await run(server.args("-s", "quit"))).code).toBe(0);
  expect(await server.process.exited).toBe(0);
  expect(server.log).toContain("signal process started");
});

test("-s without a server", async () => {
  const { directory, args } = configured("pid nginx.pid;\nevents { }\nhttp { }\n");
  using _ = directory;
  const pidFile = join(directory.path, "nginx.pid");
  expect(await run([...args, "-s", "stop"])).toEqual({
    code: 1,
    out: "",
    err: `nginx: [error] open() "${pidFile}" failed (2: No such file or directory)\n`,
  });
  writeFileSync(pidFile, "abc\n");
  expect((await run([...args, "-s", "stop"])).err).toBe(`nginx: [error] invalid PID number "abc" in "${pidFile}"\n`);
  writeFileSync(pidFile, "4194305\n");
  expect(await run([...args, "-s", "reload"])).toEqual({
    code: 1,
    out: "",
    err: "nginx: [alert] kill(4194305, 1) failed (3: No such process)\n",
  });
});

test("in the background: it returns when it serves, and leaves the terminal", async () => {
  const port = freePort();
  const { directory, args } = configured(answering(port, "one").replace("daemon off;", ""));
  using _ = directory;
  expect(await run(args)).toEqual({ code: 0, out: "", err: "" });
  const pid = Number(readFileSync(join(directory.path, "nginx.pid"), "utf8"));
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toStartWith("one ");
  // Fields after the command: state, parent, group, session, terminal.
  const [, parent, group, session, terminal] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  expect(Number(parent)).not.toBe(process.pid);
  expect([Number(group), Number(session), Number(terminal)]).toEqual([pid, pid, 0]);
  expect((await run([...args, "-s", "quit"])).code).toBe(0);
  await until(() => !isAlive(pid), "it has ended");
  expect(existsSync(join(directory.path, "nginx.pid"))).toBe(false);
});

test("in the background: what goes wrong is said at the terminal", async () => {
  const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { directory, args } = configured(answering(other.port, "one").replace("daemon off;", ""));
  using _ = directory;
  const { code, err } = await run(args);
  other.stop(true);
  expect(code).toBe(1);
  expect(err).toContain(`nginx: [emerg] bind() to 127.0.0.1:${other.port} failed (98: Address already in use)\n`);
  expect(err).toEndWith("nginx: [emerg] still could not bind()\n");
});

test("a link to it may stand anywhere, and `alicorn nginx` is the same", async () => {
  using directory = new Directory();
  const link = join(directory.path, "nginx");
  symlinkSync(nginx, link);
  const { err } = await run(["-v"], link);
  expect(err).toStartWith("nginx version: ");
  expect((await run(["nginx", "-v"], join(nginx, "../alicorn"))).err).toBe(err);
});
