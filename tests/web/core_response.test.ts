import { expect, test } from "bun:test";
import { bodyOf, fieldOf, testSite } from "../support/site.ts";

const text = "x".repeat(3000);

const site = testSite(
  `server {
    listen 127.0.0.1:PORT;
    location /file { limit_rate 10k; limit_rate_after 1k; }
    location /variable { alias DIR/html/file; limit_rate $arg_rate; }
    location /set { alias DIR/html/file; set $limit_rate 10k; add_header Rate $limit_rate; }
    location /text { return 200 "${text}"; limit_rate 10k; }
  }`,
  { file: text },
);
const { get } = site;

const timed = async (target: string): Promise<readonly [body: string, ms: number]> => {
  const began = performance.now();
  return [bodyOf(await get(target)), performance.now() - began];
};

test("limit_rate: files and texts take their time, behind what is free", async () => {
  const [file, fileMs] = await timed("/file");
  expect(file).toBe(text);
  expect(fileMs).toBeGreaterThan(((3000 - 1024) * 1000) / 10240 - 50);
  const [body, ms] = await timed("/text");
  expect(body).toBe(text);
  expect(ms).toBeGreaterThan(150);
});

test("limit_rate: a variable, and what a script sets", async () => {
  expect((await timed("/variable?rate=10k"))[1]).toBeGreaterThan(150);
  expect((await timed("/set"))[1]).toBeGreaterThan(150);
  expect(fieldOf(await get("/set"), "Rate")).toBe("10240");
});

test("limit_rate: what is no size is no limit, and the log says so", async () => {
  expect(bodyOf(await get("/variable?rate=fast"))).toBe(text);
  await site.server.logged(/invalid size "fast"/);
});
