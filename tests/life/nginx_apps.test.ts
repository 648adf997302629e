/** Applications of a configuration file: several, reloaded with everything else, and a web server without any. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Load } from "../support/load.ts";
import { NginxServer, refuses } from "../support/nginx_server.ts";
import { Directory, root, until } from "../support/server.ts";

/** A server whose / is one application and whose /other/ is another one. */
const serving = (port: number, directory: string, further = ""): string => `
daemon off;
user root;
pid nginx.pid;
error_log error.log info;
worker_processes 2;
events { }
http {
  access_log off;
  app one { module life:app; chdir ${directory}; workers 2; }
  app other { module life:app; chdir ${directory}; workers 1; env LIFE_VERSION=other; }
  ${further}
  server {
    listen 127.0.0.1:${port};
    location / { app_pass one; }
    location /other/ { app_pass other; }
  }
}
`;

const code = readFileSync(join(root, "tests/apps/life.py"), "utf8");
const version = (text: string): string | undefined => text.split(" ")[1];

/** The application in a directory of its own, so that its code can be changed. */
const ownCopy = (): Directory => new Directory({ "life.py": code });

test("two applications side by side", async () => {
  using app = ownCopy();
  await using server = await NginxServer.start((port) => serving(port, app.path));
  expect(version(await server.text())).toBe("1");
  expect(version(await server.text("/other/"))).toBe("other");
});

test("HUP under load: new code in all of them, and not one request lost", async () => {
  using app = ownCopy();
  await using server = await NginxServer.start((port) => serving(port, app.path));
  const loads = ["/", "/other/"].map((path) => new Load(server.port, { clients: 8, path }));
  for (const [i, text] of ["2", "3"].entries()) {
    await Promise.all(loads.map((load) => load.more(100)));
    app.write("life.py", code.replace('"1"', `"${text}"`));
    server.signal("SIGHUP");
    await server.logged(/worker process \d+ exited with code 0/, 2 * (i + 1));
    await until(async () => version(await server.text()) === text, "the new code answers");
  }
  await Promise.all(loads.map((load) => load.more(100)));
  for (const load of loads) {
    await load.stop();
    expect([[...load.answers.keys()], load.lost]).toEqual([[200], 0]);
  }
});

test("HUP with code that cannot be loaded: everything stays as it was, and the log says why", async () => {
  using app = ownCopy();
  await using server = await NginxServer.start((port) => serving(port, app.path));
  const load = new Load(server.port);
  await load.more(50);
  app.write("life.py", "import nothing_of_that_name\n");
  server.signal("SIGHUP");
  await server.logged(/\[emerg\] /);
  await load.more(100);
  await load.stop();
  expect([[...load.answers.keys()], load.lost]).toEqual([[200], 0]);
  expect(server.log).toContain("nothing_of_that_name");
  app.write("life.py", code.replace('"1"', '"2"'));
  server.signal("SIGHUP");
  await until(async () => version(await server.text()) === "2", "the repaired code answers");
});

test("an application more and one fewer", async () => {
  using app = ownCopy();
  await using server = await NginxServer.start((port) => serving(port, app.path));
  const third = `app third { module life:app; chdir ${app.path}; env LIFE_VERSION=third; workers 1; }`;
  server.configure(serving(server.port, app.path, third).replace("app_pass other", "app_pass third"));
  server.signal("SIGHUP");
  await until(async () => version(await server.text("/other/")) === "third", "the third application answers");
  server.configure(serving(server.port, app.path).replace("app_pass other", "app_pass one"));
  server.signal("SIGHUP");
  await until(async () => version(await server.text("/other/")) === "1", "the first application answers");
});

test("TTIN and TTOU change how many workers each of them has", async () => {
  using app = ownCopy();
  await using server = await NginxServer.start((port) => serving(port, app.path));
  await server.text();
  server.signal("SIGTTIN");
  await server.logged(/: 3 application workers from now on\n/);
  await server.logged(/: 2 application workers from now on\n/);
  server.signal("SIGTTOU");
  await server.logged(/: 1 application worker from now on\n/);
});

test("QUIT waits for the application", async () => {
  using app = ownCopy();
  await using server = await NginxServer.start((port) => serving(port, app.path).replace("workers 2", "workers 1"));
  // It runs: from here on who is not answered waits for the application, not for its start.
  await server.text();
  const gate = join(app.path, "go");
  const slow = server.text(`/wait?${gate}`);
  const isBusy = () =>
    fetch(server.url(), { signal: AbortSignal.timeout(200) }).then(
      () => false,
      () => true,
    );
  await until(isBusy, "the application's worker is busy");
  server.signal("SIGQUIT");
  await until(() => refuses(server.port), "the port is closed");
  app.write("go", "");
  expect(version(await slow)).toBe("1");
  expect(await server.process.exited).toBe(0);
});
