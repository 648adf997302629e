/** More clients than there is room for. */
import { expect, test } from "bun:test";
import { Server, until } from "../support/server.ts";
import { ask, Client } from "../support/socket.ts";

const app = ["--chdir", "tests/apps", "life:app", "--workers", "1", "--web-workers", "1"];
const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
/** Of 400 files, 256 are kept for other things. */
const room = 144;

async function open(port: number, count: number, request: string): Promise<Client[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => Client.open(port)));
  for (const client of clients) client.send(request);
  return clients;
}

test("at the limit idle connections make room for new clients", async () => {
  await using server = await Server.start(app, { fileLimit: 400 });
  const idle = await open(server.port, room, get);
  await Promise.all(idle.map((client) => client.read(/200 OK/)));
  const more = await open(server.port, 50, get);
  await Promise.all(more.map((client) => client.read(/200 OK/)));
  // A few at a time, the oldest first.
  expect(idle.filter(({ closed }) => closed).length).toBeGreaterThanOrEqual(50);
  for (const client of [...idle, ...more]) client[Symbol.dispose]();
});

test("when all are busy new ones are shed, and the service recovers by itself", async () => {
  await using server = await Server.start(app, { fileLimit: 400 });
  const asking = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
  const busy = await open(server.port, room, asking);
  await Promise.all(busy.map((client) => client.read(/100 Continue/)));
  const shed = await open(server.port, 20, get);
  await server.logged(/144 worker_connections are not enough, all are busy: a new one was closed/);
  await until(() => shed.every(({ closed }) => closed), "the new ones are closed");
  expect(shed.map(({ received }) => received).join("")).toBe("");
  for (const client of busy) client.send("ab");
  await Promise.all(busy.map((client) => client.read(/200 OK/)));
  for (const client of busy) client[Symbol.dispose]();
  for (let i = 0; i < 5; i++) expect(await ask(server.port, last)).toContain("200 OK");
});
