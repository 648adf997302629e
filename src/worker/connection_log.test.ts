import { expect, test } from "bun:test";
import { connectionTo, get, hello, reply, settled } from "../../tests/support/connection.ts";
import { Headers } from "../http/headers.ts";
import { type Body, emptyBody, type Reply } from "../http/message.ts";

test("what becomes of a request is logged: its status, and that its connection closes", async () => {
  const { logged, send } = connectionTo(hello, { keepAliveRequests: 2 });
  await send(get);
  await send(get);
  expect(logged).toEqual(["GET 200", "GET 200 close"]);
  const refused = connectionTo();
  await refused.send("GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(refused.logged).toEqual([" 400 close"]);
  const left = connectionTo(() => new Promise(() => {}));
  await left.send(get);
  left.connection.onClose();
  expect(left.logged).toEqual(["GET 499"]);
});

test("a client that leaves in the middle of a response is logged with the response's status, once", async () => {
  const body: Body = { kind: "stream", source: { pull() {}, cancel() {} } };
  const { connection, logged, send } = connectionTo(() => reply(body));
  await send(get);
  connection.onClose();
  expect(logged).toEqual(["GET 200"]);
});

test("what is open is counted: connections, heads that arrive, requests in progress", async () => {
  let finish: (reply: Reply) => void = () => {};
  const { connection, counters, send } = connectionTo(() => new Promise<Reply>((resolve) => (finish = resolve)));
  const counts = () => (["active", "reading", "writing", "requests"] as const).map((name) => counters.total(name));
  await send("GET /");
  expect(counts()).toEqual([1, 1, 0, 0]);
  await send(get.slice(5));
  expect(counts()).toEqual([1, 0, 1, 1]);
  finish(reply(emptyBody, 0));
  await settled();
  expect(counts()).toEqual([1, 0, 0, 1]);
  await send("GET /");
  connection.onClose();
  expect(counts()).toEqual([0, 0, 0, 1]);
});

test("444 closes without an answer, and is logged", async () => {
  const silence: Reply = { head: { status: 444, headers: new Headers() }, body: emptyBody };
  const { connection, logged, transport, send } = connectionTo(() => silence);
  await send(get);
  expect([transport.sent, transport.state]).toEqual(["", "ended"]);
  connection.onClose();
  expect(logged).toEqual(["GET 444"]);
});
