/** The examples do what their READMEs say. */

import { afterAll, expect, test } from "bun:test";
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Directory, root, Server } from "../support/server.ts";
import { Browser } from "./browser.ts";
import { python } from "./support.ts";

const examples = join(root, "examples");
/** A copy, so that what the examples write stays out of the checkout. */
const directory = new Directory();
afterAll(() => directory[Symbol.dispose]());
cpSync(examples, directory.path, { recursive: true });

const readme = (name: string): Promise<string> => Bun.file(join(examples, name, "README.md")).text();
/** Runs the command line that the README gives in backquotes; its paths are relative to the example's folder. */
async function run(name: string): Promise<Server> {
  const [, words = ""] = /`\.\.\/\.\.\/bin\/alicorn ([^`]*)`/.exec(await readme(name)) ?? [];
  expect(words).not.toBe("");
  return await Server.start(["--python", python, ...words.split(" ")], { cwd: join(directory.path, name) });
}

test("each example has a README and a test here", async () => {
  const names = readdirSync(examples, { withFileTypes: true }).filter((each) => each.isDirectory());
  const tests = await Bun.file(import.meta.path).text();
  for (const { name } of names) {
    expect((await readme(name)).trim().split("\n")).toHaveLength(3);
    expect(tests).toContain(`run("${name}"`);
  }
});

test("hello", async () => {
  await using server = await run("hello");
  expect(await (await server.fetch("/you")).text()).toMatch(/^Hello from Alicorn! You asked for \/you at /);
});

test("flask: sign the book, and be remembered", async () => {
  await using server = await run("flask");
  const browser = new Browser(server);
  expect(await browser.text("/")).toContain("signed 0 times");
  const page = await (await browser.post("/", { name: "Ada" })).text();
  expect(page).toContain("Thank you, Ada!");
  expect(page).toContain("signed 1 times");
  expect(await browser.text("/clock?every=0")).toMatch(/^(\d\d:\d\d:\d\d\n){3}$/);
});

test("django: add a task, have it done, see it in the admin", async () => {
  const commands = [...(await readme("django")).matchAll(/python manage\.py (\w+)/g)].map(([, name]) => name ?? "");
  expect(commands).toEqual(["migrate", "createsuperuser", "collectstatic"]);
  for (const command of commands) {
    const user = command === "createsuperuser" ? ["--username", "admin", "--email", "admin@example.org"] : [];
    const noInput = command === "migrate" ? [] : ["--noinput"];
    const { exitCode, stderr } = Bun.spawnSync([python, "manage.py", command, ...noInput, ...user], {
      cwd: join(directory.path, "django"),
      env: { ...process.env, DJANGO_SUPERUSER_PASSWORD: "secret" },
    });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  }
  await using server = await run("django");
  const browser = new Browser(server);
  const token = (page: string) => /name="csrfmiddlewaretoken" value="(\w+)"/.exec(page)?.[1] ?? "";
  let page = await browser.text("/");
  page = await (await browser.post("/", { csrfmiddlewaretoken: token(page), title: "Write <tests>" })).text();
  const [, task = ""] = /Write &lt;tests&gt; <button name="done" value="(\d+)"/.exec(page) ?? [];
  expect(task).not.toBe("");
  page = await (await browser.post("/", { csrfmiddlewaretoken: token(page), done: task })).text();
  expect(page).not.toContain("Write");
  page = await browser.text("/admin/");
  const fields = { csrfmiddlewaretoken: token(page), username: "admin", password: "secret" };
  await browser.post("/admin/login/?next=/admin/", fields);
  page = await browser.text("/admin/todo/task/");
  expect(page).toContain("Write &lt;tests&gt;");
  const [, style = ""] = /href="(\/static\/[^"]+\.css)"/.exec(page) ?? [];
  expect(await (await server.fetch(style)).text()).toContain("{");
});
