import { dlopen, ptr } from "bun:ffi";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, socketName } from "./libc.ts";
import { parseSyslog, Syslog, type SyslogOptions, syslogTime } from "./syslog.ts";

const read = (text: string) => parseSyslog(text) as SyslogOptions;

test("what is not given", () => {
  expect(parseSyslog("server=127.0.0.1")).toEqual({
    server: { kind: "tcp", family: 4, host: "127.0.0.1", port: 514 },
    serverText: "127.0.0.1",
    facility: 23,
    severity: 6,
    tag: "nginx",
    hostname: true,
  });
});

test("everything given, in any order", () => {
  expect(parseSyslog("severity=alert,nohostname,tag=A_1,server=[::1]:99,facility=user")).toEqual({
    server: { kind: "tcp", family: 6, host: "::1", port: 99 },
    serverText: "[::1]:99",
    facility: 1,
    severity: 1,
    tag: "A_1",
    hostname: false,
  });
});

test("servers by name and by path", () => {
  expect(read("server=localhost:99").server).toMatchObject({ kind: "tcp", port: 99 });
  expect(read("server=unix:/dev/log").server).toEqual({ kind: "unix", path: "/dev/log" });
});

const wrong: readonly [string, string][] = [
  ["", 'unknown syslog parameter ""'],
  ["tag=x", "no syslog server specified"],
  ["server=127.0.0.1,hostname", 'unknown syslog parameter "hostname"'],
  ["server=127.0.0.1,nohostnamex", 'unknown syslog parameter "nohostnamex"'],
  ["server=127.0.0.1,server=127.0.0.1", 'duplicate syslog "server"'],
  ["facility=user,facility=user", 'duplicate syslog "facility"'],
  ["severity=info,severity=info", 'duplicate syslog "severity"'],
  ["tag=,tag=", 'duplicate syslog "tag"'],
  ["facility=local8", 'unknown syslog facility "local8"'],
  ["severity=err", 'unknown syslog severity "err"'],
  [`tag=${"x".repeat(33)}`, "syslog tag length exceeds 32"],
  ["tag=a-b", 'syslog "tag" only allows alphanumeric characters and underscore'],
  ["server=", 'no host in syslog server ""'],
  ["server=:514", 'no host in syslog server ":514"'],
  ["server=127.0.0.1:0", 'invalid port in syslog server "127.0.0.1:0"'],
  ["server=127.0.0.1:x", 'invalid port in syslog server "127.0.0.1:x"'],
  ["server=[z]:1", 'invalid IPv6 address in syslog server "[z]:1"'],
  ["server=a..b", 'host not found in syslog server "a..b"'],
  ["server=unix:", 'no path in the unix domain socket in syslog server "unix:"'],
  ["server=127.0.0.1/x", 'invalid host in syslog server "127.0.0.1/x"'],
];
for (const [text, message] of wrong) {
  test(`"${text.slice(0, 40)}" is refused`, () => expect(parseSyslog(text)).toBe(message));
}

test("the time", () => {
  expect(syslogTime(new Date(2026, 9, 7, 9, 5, 3))).toBe("Oct  7 09:05:03");
  expect(syslogTime(new Date(2026, 0, 17, 19, 15, 33))).toBe("Jan 17 19:15:33");
});

/** A UDP receiver on a free port, or on the port given. */
async function receiver(port = 0) {
  const waiting: ((text: string) => void)[] = [];
  const kept: string[] = [];
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, bytes) {
        const text = bytes.toString("latin1");
        const next = waiting.shift();
        if (next === undefined) kept.push(text);
        else next(text);
      },
    },
  });
  const next = () => {
    const text = kept.shift();
    return text === undefined ? new Promise<string>((resolve) => waiting.push(resolve)) : Promise.resolve(text);
  };
  return { port: socket.port, next, close: () => socket.close() };
}

test("messages over UDP", async () => {
  const { port, next, close } = await receiver();
  const log = new Syslog(read(`server=127.0.0.1:${port},tag=SEE`), () => {});
  log.send(3, "caf\xe9");
  const name = hostname().toLowerCase();
  expect(await next()).toMatch(new RegExp(`^<187>[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d ${name} SEE: caf\xe9$`));
  const bare = new Syslog(read(`server=127.0.0.1:${port},nohostname,facility=user`), () => {});
  bare.send(bare.options.severity, "x");
  expect(await next()).toMatch(/^<14>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d nginx: x$/);
  log.close();
  bare.close();
  close();
});

test("a server that was away gets what is sent once it is back", async () => {
  const first = await receiver();
  const reports: string[] = [];
  const log = new Syslog(read(`server=127.0.0.1:${first.port}`), (message) => reports.push(message));
  first.close();
  log.send(6, "lost");
  log.send(6, "lost");
  const second = await receiver(first.port);
  log.send(6, "seen");
  expect(await second.next()).toEndWith("nginx: seen");
  expect(reports).toEqual([]);
  log.close();
  second.close();
});

test("messages over a Unix socket; a missing one is reported, not thrown", () => {
  const folder = mkdtempSync(join(tmpdir(), "syslog-"));
  const path = join(folder, "log");
  const reports: string[] = [];
  const log = new Syslog(read(`server=unix:${path},nohostname`), (message) => {
    reports.push(message);
    log.send(6, "about itself: must not go round for ever");
  });
  log.send(6, "lost");
  expect(reports).toEqual([
    `connect() failed (2: No such file or directory) while logging to syslog, server: unix:${path}`,
  ]);
  const { symbols: libc } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  });
  const fd = libc.socket(1, 2, 0);
  const name = socketName({ kind: "unix", path });
  expect(libc.bind(fd, ptr(name), name.length)).toBe(0);
  log.send(6, "seen");
  const room = Buffer.alloc(200);
  const length = Number(libc.recv(fd, ptr(room), 200n, 0));
  expect(room.toString("latin1", 0, length)).toMatch(/^<190>.* nginx: seen$/);
  log.close();
  log.send(6, "after the end: dropped");
  closeFd(fd);
  rmSync(folder, { recursive: true });
});
