/** Calls of all four kinds between a real gRPC client and a real gRPC server. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { python } from "../app/support.ts";
import { NginxServer } from "../support/nginx_server.ts";
import { root } from "../support/server.ts";

const script = join(root, "tests/apps/grpc_calls.py");
const far = Bun.spawn([python, script, "serve"], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
afterAll(async () => {
  far.stdin.end();
  await far.exited;
});

async function firstLine(): Promise<string> {
  for await (const bytes of far.stdout) return Buffer.from(bytes).toString().trim();
  throw new Error("the gRPC server has not started");
}
const upstream = await firstLine();

async function calls(address: string): Promise<unknown> {
  const made = Bun.spawn([python, script, "call", address], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  return JSON.parse(await made.stdout.text());
}

const expected = {
  echo: "hello",
  initial: "1",
  trailing: "5",
  large: true,
  count: 1000,
  total: 1_000_000,
  chat: ["ONE", "TWO", "THREE"],
  fail: "NOT_FOUND: no such thing: it",
  unknown: "UNIMPLEMENTED",
  "give up": "RESOURCE_EXHAUSTED: enough",
  deadline: "DEADLINE_EXCEEDED",
  again: "again",
};

test("without us", async () => {
  expect(await calls(`127.0.0.1:${upstream}`)).toEqual(expected);
});

for (const [what, pass, more] of [
  ["to an address", `127.0.0.1:${upstream}`, ""],
  ["to a group whose connections are kept", "far", `upstream far { server 127.0.0.1:${upstream}; keepalive 8; }`],
] as const)
  test(`through us, ${what}`, async () => {
    await using server = await NginxServer.start(
      (port) => `
        daemon off; user root; pid nginx.pid; error_log error.log info; events { }
        http {
          access_log off; http2 on; client_max_body_size 0; ${more}
          server { listen 127.0.0.1:${port}; location / { grpc_pass grpc://${pass}; } }
        }`,
    );
    expect(await calls(`127.0.0.1:${server.port}`)).toEqual(expected);
  });
