/** A Django project on the real server: migrated, its static files collected, its admin used as with a browser. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Directory, root, Server } from "../support/server.ts";
import { Client } from "../support/socket.ts";
import { Browser } from "./browser.ts";
import { Gate, get, python, response } from "./support.ts";

const project = join(root, "tests/apps/django_site");
const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

async function manage(data: string, ...args: string[]): Promise<void> {
  const child = Bun.spawn([python, join(project, "manage.py"), ...args], {
    env: { ...process.env, SITE_DATA: data, DJANGO_SUPERUSER_PASSWORD: "secret" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`manage.py ${args.join(" ")}: ${said.join("")}`);
}

const tokenOf = (page: string): string => /name="csrfmiddlewaretoken" value="(\w+)"/.exec(page)?.[1] ?? "";

for (const [app, ...options] of [
  ["mysite.wsgi", "--workers", "2"],
  ["mysite.wsgi:checked", "--workers", "1", "--threads", "4"],
] as const) {
  describe([app, ...options].join(" "), () => {
    const directory = new Directory();
    let server: Server;

    beforeAll(async () => {
      const data = directory.path;
      await Promise.all([
        manage(data, "migrate").then(() =>
          manage(data, "createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.org"),
        ),
        manage(data, "collectstatic", "--noinput"),
      ]);
      server = await Server.start([
        ...["--python", python, "--chdir", project, "--env", `SITE_DATA=${data}`],
        ...["--static", `/static=${join(data, "static")}`, ...options, app],
      ]);
    });
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
      expect(server.output).not.toMatch(/AssertionError|WSGIWarning|database is locked/);
    });

    async function loggedIn(): Promise<Browser> {
      const browser = new Browser(server);
      const token = tokenOf(await browser.text("/admin/"));
      const page = await browser.post("/admin/login/?next=/admin/", {
        csrfmiddlewaretoken: token,
        username: "admin",
        password: "secret",
      });
      expect(await page.text()).toContain("Site administration");
      return browser;
    }

    /** Saves a note on the index page; the page that then shows it. */
    async function save(browser: Browser, title: string, attachment?: Uint8Array<ArrayBuffer>): Promise<string> {
      const form = new FormData();
      form.set("csrfmiddlewaretoken", tokenOf(await browser.text("/")));
      form.set("title", title);
      form.set("text", "One line.\n\nAnd another → line.");
      if (attachment !== undefined) form.set("attachment", new File([attachment], "größe.bin"));
      const page = await browser.visit("/", { method: "POST", body: form });
      expect(page.status).toBe(200);
      return await page.text();
    }

    test("admin: without a login there is the login page, and a wrong password stays there", async () => {
      const browser = new Browser(server);
      const first = await browser.ask("/admin/");
      expect([first.status, first.headers.get("location")]).toEqual([302, "/admin/login/?next=/admin/"]);
      const token = tokenOf(await browser.text("/admin/"));
      const fields = { csrfmiddlewaretoken: token, username: "admin", password: "wrong" };
      expect(await (await browser.post("/admin/login/", fields)).text()).toContain("Please enter the correct username");
      expect(browser.cookie("sessionid")).toBeUndefined();
    });

    test("admin: a login with CSRF, then its pages; a logout ends it", async () => {
      const browser = await loggedIn();
      expect(browser.cookie("sessionid")).toMatch(/^\w+$/);
      const add = await browser.text("/admin/notes/note/add/");
      const form = new FormData();
      form.set("csrfmiddlewaretoken", tokenOf(add));
      form.set("title", "Made in the admin <b>");
      form.set("attachment", new File(["attached"], "a.txt"));
      const list = await (await browser.visit("/admin/notes/note/add/", { method: "POST", body: form })).text();
      expect(list).toContain("was added successfully");
      expect(await browser.text("/admin/notes/note/?q=in+the+admin")).toContain("Made in the admin &lt;b&gt;");
      const token = tokenOf(await browser.text("/admin/"));
      expect(await (await browser.post("/admin/logout/", { csrfmiddlewaretoken: token })).text()).toContain(
        "Logged out",
      );
      expect((await browser.ask("/admin/")).status).toBe(302);
    });

    test("admin: all static files of a page come from --static", async () => {
      const page = await (await loggedIn()).text("/admin/notes/note/add/");
      const files = [...page.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map(([, path]) => path ?? "");
      expect(files.length).toBeGreaterThan(8);
      for (const path of files) {
        const got = await server.fetch(path);
        const type = path.endsWith(".css") ? "text/css" : path.endsWith(".js") ? "javascript" : "image/";
        expect([path, got.status, got.headers.get("content-type")]).toEqual([path, 200, expect.stringContaining(type)]);
        expect((await got.bytes()).length).toBeGreaterThan(0);
        const etag = got.headers.get("etag") ?? "";
        expect((await server.fetch(path, { headers: { "If-None-Match": etag } })).status).toBe(304);
      }
    });

    test("CSRF: without the token, or from elsewhere, nothing is posted", async () => {
      const browser = new Browser(server);
      const csrfmiddlewaretoken = tokenOf(await browser.text("/"));
      expect((await browser.post("/", { title: "forged" })).status).toBe(403);
      const body = new URLSearchParams({ csrfmiddlewaretoken, title: "forged" });
      const Cookie = `csrftoken=${browser.cookie("csrftoken")}`;
      const headers = { Origin: "http://evil.example", Cookie };
      expect((await server.fetch("/", { method: "POST", body, headers })).status).toBe(403);
      expect(await browser.text("/")).not.toContain("forged");
    });

    test("pages from the database", async () => {
      const browser = new Browser(server);
      expect(await save(browser, "Grüße <&>")).toContain("<h1>Grüße &lt;&amp;&gt;</h1>");
      const index = await browser.text("/");
      const [, path] = /<a href="([^"]+)">Grüße &lt;&amp;&gt;<\/a>/.exec(index) ?? [];
      expect(await browser.text(path ?? "")).toContain("<p>And another → line.</p>");
      expect((await browser.visit("/notes/12345/")).status).toBe(404);
    });

    test("many at once", async () => {
      const pages = await Promise.all(Array.from({ length: 40 }, () => server.fetch("/")));
      expect(pages.map(({ status }) => status)).toEqual(pages.map(() => 200));
    });

    test("an upload of 50 MB arrives whole, and comes back whole through FileResponse", async () => {
      const bytes = new Uint8Array(50_000_000);
      for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      const page = await save(new Browser(server), "large", bytes);
      const digest = sha256(bytes);
      expect(page).toContain(`attachment of ${bytes.length} bytes, sha256 ${digest}`);
      const index = await (await server.fetch("/")).text();
      const [, path] = /<a href="([^"]+)">large<\/a>/.exec(index) ?? [];
      const got = await server.fetch(`${path}attachment`);
      expect(got.headers.get("content-length")).toBe(String(bytes.length));
      expect(got.headers.get("content-disposition")).toBe('attachment; filename="attached.bin"');
      expect(sha256(await got.bytes())).toBe(digest);
    });

    test("StreamingHttpResponse: each row when it is made", async () => {
      using gate = new Gate(directory, "gate");
      using client = await Client.open(server.port);
      client.send(get(`/rows?gate=${gate.path}`));
      await client.read(/id,title\r\n\r\n$/);
      gate.release();
      const { chunks, field } = await response(client);
      expect(field("content-type")).toBe("text/csv; charset=utf-8");
      expect(chunks?.[0]).toBe("id,title\r\n");
      expect(chunks?.length).toBeGreaterThan(2);
    });

    test("an exception: Django's 500, rolled back, the traceback in the log only", async () => {
      const from = server.output.length;
      const got = await server.fetch("/boom");
      expect([got.status, await got.text()]).toEqual([500, expect.not.stringMatching(/confidential|Traceback/)]);
      await server.logged(/Internal Server Error: \/boom\n[\s\S]*RuntimeError: confidential/, from);
      expect(await (await server.fetch("/")).text()).not.toContain("rolled back");
    });

    test("a host that is not ours is refused by Django", async () => {
      expect((await server.fetch("/", { headers: { Host: "evil.example" } })).status).toBe(400);
    });
  });
}
