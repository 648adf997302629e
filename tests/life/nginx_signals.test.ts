/** Nginx's signals, and what they do to requests under way. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Load } from "../support/load.ts";
import { answering, isAlive, NginxServer, refuses } from "../support/nginx_server.ts";
import { Directory, root, until } from "../support/server.ts";
import { ask, Client } from "../support/socket.ts";

const one = (port: number) => answering(port, "one");
/** A request of which the last line is missing. */
const begun = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
const onlyOk = (load: Load) => [[...load.answers.keys()], load.lost];
const words = (load: Load) => [...new Set([...load.bodies].map((body) => body.split(" ")[0]))].sort();

/** A worker has read what the client has sent: it answers another request on a connection that came later. */
async function isRead(server: NginxServer, client: Client): Promise<void> {
  client.send(begun);
  for (let i = 0; i < 8; i++) await server.text();
}

test("HUP under load: the new configuration, and not one request lost", async () => {
  await using server = await NginxServer.start(one);
  const load = new Load(server.port);
  await load.more(200);
  for (const [i, text] of ["two", "three"].entries()) {
    server.configure(answering(server.port, text, `worker_shutdown_timeout 10s;`));
    server.signal("SIGHUP");
    await server.logged(/worker process \d+ exited with code 0/, 2 * (i + 1));
    await load.more(200);
  }
  await load.stop();
  expect(onlyOk(load)).toEqual([[200], 0]);
  expect(words(load)).toEqual(["one", "three", "two"]);
  expect(await server.text()).toStartWith("three ");
  expect(server.log).not.toContain("[alert]");
});

test("HUP with more and with fewer workers loses nothing", async () => {
  await using server = await NginxServer.start(one);
  const load = new Load(server.port);
  let gone = 0;
  for (const [before, count] of [
    [2, 4],
    [4, 1],
    [1, 3],
  ] as const) {
    server.configure(answering(server.port, `${count}`).replace("worker_processes 2", `worker_processes ${count}`));
    server.signal("SIGHUP");
    gone += before;
    await server.logged(/worker process \d+ exited with code 0/, gone);
    await load.more(200);
  }
  // Each connection lands in one of four sockets now, three of which were made for workers that are gone.
  for (let i = 0; i < 40; i++) expect(await server.text()).toStartWith("3 ");
  await load.stop();
  expect(onlyOk(load)).toEqual([[200], 0]);
});

test("HUP with a broken configuration: the old one serves on, and the log says what is wrong", async () => {
  await using server = await NginxServer.start(one);
  const load = new Load(server.port);
  server.configure("events { }\nhttp {\n");
  server.signal("SIGHUP");
  await server.logged(/\[emerg\] \d+#0: unexpected end of file, expecting "}" in .*nginx\.conf:\d/);
  await load.more(100);
  await load.stop();
  expect(onlyOk(load)).toEqual([[200], 0]);
  expect(words(load)).toEqual(["one"]);
});

test("HUP with an address that cannot be had changes nothing; one more and one fewer are opened and closed", async () => {
  await using server = await NginxServer.start(one);
  const more = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const both = answering(server.port, "two").replace("listen ", `listen 127.0.0.1:${more.port};\n listen `);
  server.configure(both);
  server.signal("SIGHUP");
  await server.logged(/\[emerg\] \d+#0: still could not bind\(\)/);
  expect(server.log).toContain(`bind() to 127.0.0.1:${more.port} failed (98: Address already in use)`);
  expect(await server.text()).toStartWith("one ");
  more.stop(true);
  server.signal("SIGHUP");
  await until(async () => !(await refuses(more.port)), "the second address");
  await until(async () => (await server.text()).startsWith("two "), "the new configuration");
  server.configure(answering(server.port, "three"));
  server.signal("SIGHUP");
  await until(() => refuses(more.port), "the second address is closed");
  await until(async () => (await server.text()).startsWith("three "), "the third configuration");
});

test("two HUPs in a row: the last configuration is in force in the end", async () => {
  await using server = await NginxServer.start(one);
  server.configure(answering(server.port, "two"));
  server.signal("SIGHUP");
  await server.logged(/reconfiguring\n/);
  server.configure(answering(server.port, "three"));
  server.signal("SIGHUP");
  await until(async () => (await server.text()).startsWith("three "), "the last configuration");
});

test("a pid file of another name takes the place of the old one", async () => {
  await using server = await NginxServer.start(one);
  const pid = server.pid();
  server.configure(one(server.port).replace("pid nginx.pid", "pid other.pid"));
  server.signal("SIGHUP");
  await until(() => existsSync(server.path("other.pid")) && !existsSync(server.path("nginx.pid")), "the other file");
  expect(server.pid("other.pid")).toBe(pid);
});

test("QUIT finishes what is under way and takes nothing new", async () => {
  await using server = await NginxServer.start(one);
  using client = await Client.open(server.port);
  await isRead(server, client);
  server.signal("SIGQUIT");
  await until(() => refuses(server.port), "the port is closed");
  client.send("\r\n");
  expect(await client.end()).toContain("200 OK");
  expect(await server.process.exited).toBe(0);
  expect(existsSync(server.path("nginx.pid"))).toBe(false);
  expect(server.log).toMatch(/signal 3 \(SIGQUIT\) received, shutting down/);
  expect(server.log).toMatch(/\[notice\] \d+#0: exit\n$/);
});

test("QUIT lets a client finish who is just saying where it comes from, and ends who has said nothing", async () => {
  const listens = (port: number) => answering(port, "one").replace(`${port};`, `${port} proxy_protocol;`);
  await using server = await NginxServer.start(listens);
  using silent = await Client.open(server.port);
  using begins = await Client.open(server.port);
  begins.send("PROXY TCP4 192.0.2.1 ");
  for (let i = 0; i < 8; i++) {
    using other = await Client.open(server.port);
    other.send(`PROXY UNKNOWN\r\n${begun}\r\n`);
    await other.end();
  }
  server.signal("SIGQUIT");
  await until(() => refuses(server.port), "the port is closed");
  begins.send(`192.0.2.2 4711 80\r\n${begun}\r\n`);
  expect(await begins.end()).toContain("one ");
  expect(await server.process.exited).toBe(0);
  expect(silent.received).toBe("");
});

test("worker_shutdown_timeout is a bound for that", async () => {
  await using server = await NginxServer.start((port) => answering(port, "one", "worker_shutdown_timeout 2s;"));
  using client = await Client.open(server.port);
  await isRead(server, client);
  server.signal("SIGQUIT");
  await until(() => refuses(server.port), "the port is closed");
  expect(client.closed).toBe(false);
  expect(await server.process.exited).toBe(0);
  expect(await client.end()).toBe("");
});

for (const name of ["SIGTERM", "SIGINT"] as const) {
  test(`${name} does not wait, not even after QUIT`, async () => {
    await using server = await NginxServer.start(one);
    using client = await Client.open(server.port);
    await isRead(server, client);
    const pid = server.pid();
    server.signal("SIGQUIT", pid);
    await until(() => refuses(server.port), "the port is closed");
    expect(client.closed).toBe(false);
    server.signal(name, pid);
    expect(await server.process.exited).toBe(0);
    expect(await client.end()).toBe("");
  });
}

test("USR1 opens the logs anew, in every process", async () => {
  await using server = await NginxServer.start((port) =>
    answering(port, "one").replace("access_log off;", "access_log access.log;"),
  );
  await server.text("/first");
  await until(() => existsSync(server.path("access.log")), "the access log");
  renameSync(server.path("access.log"), server.path("access.1"));
  renameSync(server.path("error.log"), server.path("error.1"));
  server.signal("SIGUSR1");
  await until(() => existsSync(server.path("access.log")) && existsSync(server.path("error.log")), "new files");
  await server.text("/second");
  await until(async () => (await Bun.file(server.path("access.log")).text()).includes("/second"), "the request");
  server.signal("SIGHUP");
  await server.logged(/reconfiguring/);
});

test("a web worker that dies is replaced", async () => {
  await using server = await NginxServer.start(one);
  const [, worker] = (await server.text()).split(" ");
  process.kill(Number(worker), "SIGKILL");
  await server.logged(/\[alert\] \d+#0: worker process \d+ exited on signal 9/);
  for (let i = 0; i < 8; i++) expect(await server.text()).toStartWith("one ");
  await server.logged(/start worker process/, 3);
});

/** Starts the second program, and waits until its workers serve. */
async function upgrade(server: NginxServer): Promise<{ before: number; after: number }> {
  const before = server.pid();
  server.signal("SIGUSR2");
  await until(() => existsSync(server.path("nginx.pid.oldbin")) && existsSync(server.path("nginx.pid")), "both files");
  const after = server.pid();
  expect(server.pid("nginx.pid.oldbin")).toBe(before);
  await server.logged(new RegExp(` ${after}#0: start worker process`), 2);
  return { before, after };
}

test("USR2, WINCH, QUIT: another program takes over, and no connection is refused", async () => {
  await using server = await NginxServer.start(one);
  const load = new Load(server.port);
  await load.more(100);
  server.configure(answering(server.port, "two"));
  const { before, after } = await upgrade(server);
  server.signal("SIGWINCH", before);
  await server.logged(new RegExp(` ${before}#0: worker process \\d+ exited with code 0`), 2);
  await load.more(100);
  server.signal("SIGQUIT", before);
  await server.process.exited;
  await load.more(100);
  expect(existsSync(server.path("nginx.pid.oldbin"))).toBe(false);
  expect(server.pid()).toBe(after);
  expect(await server.text()).toStartWith("two ");
  await load.stop();
  expect(onlyOk(load)).toEqual([[200], 0]);
  expect(server.log).not.toContain("[alert]");
});

test("the program is found where it was: a link in its path may name another release by now", async () => {
  using releases = new Directory();
  const link = join(releases.path, "current");
  symlinkSync(root, link);
  await using server = await NginxServer.start(one, join(link, "bin/nginx"));
  const { after } = await upgrade(server);
  expect(readFileSync(`/proc/${after}/cmdline`, "utf8")).toContain(link);
});

test("roll-back: HUP brings the old workers back, QUIT ends the new program", async () => {
  await using server = await NginxServer.start(one);
  const load = new Load(server.port);
  server.configure(answering(server.port, "two"));
  const { before, after } = await upgrade(server);
  server.signal("SIGWINCH", before);
  await server.logged(new RegExp(` ${before}#0: worker process \\d+ exited with code 0`), 2);
  server.signal("SIGHUP", before);
  await server.logged(new RegExp(` ${before}#0: start worker process`), 4);
  server.signal("SIGQUIT", after);
  await until(() => !isAlive(after), "the new program has ended");
  await until(() => existsSync(server.path("nginx.pid")) && server.pid() === before, "the pid file has its name back");
  await load.more(100);
  await load.stop();
  expect(onlyOk(load)).toEqual([[200], 0]);
  expect(await server.text()).toStartWith("one ");
});

test("a new program that dies: the old workers come back by themselves", async () => {
  await using server = await NginxServer.start(one);
  const { before, after } = await upgrade(server);
  server.signal("SIGWINCH", before);
  await server.logged(new RegExp(` ${before}#0: worker process \\d+ exited with code 0`), 2);
  server.signal("SIGKILL", after);
  await server.logged(new RegExp(` ${before}#0: start worker process`), 4);
  expect(await server.text()).toStartWith("one ");
  await until(() => existsSync(server.path("nginx.pid")) && server.pid() === before, "the pid file has its name back");
  expect(existsSync(server.path("nginx.pid.oldbin"))).toBe(false);
});

test("a Unix socket stays as long as either program serves on it", async () => {
  using sockets = new Directory();
  const path = join(sockets.path, "socket");
  await using server = await NginxServer.start((port) =>
    answering(port, "one").replace("listen ", `listen unix:${path};\n listen `),
  );
  const answers = async () => (await ask(path, `${begun}\r\n`)).includes("200 OK");
  const first = await upgrade(server);
  server.signal("SIGQUIT", first.before);
  await server.process.exited;
  expect(await answers()).toBe(true);
  const second = await upgrade(server);
  server.signal("SIGTERM", second.after);
  await until(() => !existsSync(server.path("nginx.pid.oldbin")), "the pid file has its name back");
  expect(await answers()).toBe(true);
  server.signal("SIGTERM", second.before);
  await until(() => !isAlive(second.before), "it has ended");
  expect(existsSync(path)).toBe(false);
});
