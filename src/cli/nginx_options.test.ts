import { expect, test } from "bun:test";
import { versionText } from "./nginx_features.ts";
import { NginxUsageError, parseNginxArguments } from "./nginx_options.ts";
import { nginxPaths } from "./nginx_paths.ts";

const complaint = (...args: string[]): string => {
  try {
    parseNginxArguments(args);
  } catch (error) {
    if (error instanceof NginxUsageError) return error.message;
  }
  return "none";
};

test("letters stand alone or together, values behind them or next", () => {
  expect(parseNginxArguments(["-tq", "-c", "a", "-p/b", "-g", "daemon off;"])).toEqual({
    help: false,
    version: false,
    features: false,
    test: true,
    dump: false,
    quiet: true,
    signal: undefined,
    prefix: "/b",
    errorLog: undefined,
    file: "a",
    globals: "daemon off;",
  });
  expect(parseNginxArguments(["-Tqcfile"])).toMatchObject({ test: true, dump: true, quiet: true, file: "file" });
  expect(parseNginxArguments(["-s", "reload"]).signal).toBe("reload");
  expect(parseNginxArguments(["-sstop"]).signal).toBe("stop");
  expect(parseNginxArguments(["-?"])).toMatchObject({ help: true, version: true, features: false });
  expect(parseNginxArguments(["-V"])).toMatchObject({ version: true, features: true });
  expect(parseNginxArguments(["-c", "a", "-c", "b"]).file).toBe("b");
});

test("what cannot be understood", () => {
  expect(complaint("x")).toBe('invalid option: "x"');
  expect(complaint("-tx")).toBe('invalid option: "x"');
  expect(complaint("--help")).toBe('invalid option: "-"');
  expect(complaint("-c")).toBe('option "-c" requires file name');
  expect(complaint("-e")).toBe('option "-e" requires file name');
  expect(complaint("-p")).toBe('option "-p" requires directory name');
  expect(complaint("-g")).toBe('option "-g" requires parameter');
  expect(complaint("-s")).toBe('option "-s" requires parameter');
  expect(complaint("-s", "foo")).toBe('invalid option: "-s foo"');
});

test("relative paths begin in the prefix, a relative prefix where one is", () => {
  const paths = (...args: string[]) => nginxPaths(parseNginxArguments(args));
  expect(paths()).toEqual({
    prefix: "/etc/nginx/",
    file: "/etc/nginx/nginx.conf",
    errorLog: "/var/log/nginx/error.log",
  });
  expect(paths("-p", "/a/", "-c", "b.conf", "-e", "c.log")).toEqual({
    prefix: "/a/",
    file: "/a/b.conf",
    errorLog: "/a/c.log",
  });
  expect(paths("-p", "a", "-e", "stderr")).toEqual({
    prefix: `${process.cwd()}/a/`,
    file: `${process.cwd()}/a/nginx.conf`,
    errorLog: "-",
  });
  expect(paths("-p", "/").prefix).toBe("/");
});

test("what there is not is not claimed", () => {
  expect(versionText("0.1.0", false)).toBe("nginx version: nginx/1.31.5\nalicorn version: 0.1.0\n");
  const text = versionText("0.1.0", true);
  expect(text).toMatch(/^configure arguments: --with-\S+( --with(out)?-\S+)*$/m);
  const words = [...text.matchAll(/--with(?:out)?-(\S+)/g)].map(([, name]) => name);
  expect(new Set(words).size).toBe(words.length);
});
