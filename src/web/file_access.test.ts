import { afterAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exchangeFor } from "../../tests/support/exchange.ts";
import { type FileAccess, FileFailure, linklessAccess, type Opened, plainAccess } from "./file_access.ts";
import { cachedAccess, OpenFileCache } from "./open_file_cache.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "alicorn-access-")));
afterAll(() => rmSync(root, { recursive: true }));
mkdirSync(`${root}/directory`);
writeFileSync(`${root}/directory/file`, "content");
symlinkSync("directory/file", `${root}/link`);
symlinkSync("directory", `${root}/linked`);
symlinkSync("loop", `${root}/loop`);

const exchange = exchangeFor("/");

function contentOf(opened: Opened | FileFailure): string {
  if (opened instanceof FileFailure) return opened.code;
  if (opened.fd < 0) return "directory";
  try {
    return readFileSync(opened.fd, "latin1");
  } finally {
    closeSync(opened.fd);
  }
}

const open = (access: FileAccess, path: string): string => contentOf(access.open(exchange, path));
const code = (found: Stats | FileFailure): string => (found instanceof FileFailure ? found.code : "found");

describe("as the system shows it", () => {
  test("links are followed, directories are told and not opened", () => {
    expect(open(plainAccess, `${root}/link`)).toBe("content");
    expect(open(plainAccess, `${root}/linked/`)).toBe("directory");
    expect(code(plainAccess.stat(exchange, `${root}/linked/file`))).toBe("found");
  });

  test("failures are the system's, with its words", () => {
    const failure = plainAccess.open(exchange, `${root}/none`) as FileFailure;
    expect(failure.about("/x")).toBe('open() "/x" failed (2: No such file or directory)');
    expect(open(plainAccess, `${root}/loop`)).toBe("ELOOP");
    expect(open(plainAccess, `${root}/directory/file/x`)).toBe("ENOTDIR");
    expect(open(plainAccess, `${root}/${"n".repeat(300)}`)).toBe("ENAMETOOLONG");
    expect(open(plainAccess, `${root}/direc\0tory`)).toBe("ENOENT");
    expect(code(plainAccess.stat(exchange, `${root}/none`))).toBe("ENOENT");
    expect(code(plainAccess.stat(exchange, "x\0"))).toBe("ENOENT");
  });
});

describe("without links", () => {
  const none = linklessAccess({ refuses: "all", from: () => "" });

  test("none is followed, wherever it is", () => {
    expect(open(none, `${root}/directory/file`)).toBe("content");
    expect(open(none, `${root}/link`)).toBe("ELOOP");
    expect(["ELOOP", "ENOTDIR"]).toContain(open(none, `${root}/linked/file`));
    expect(open(none, `${root}/directory/`)).toBe("directory");
    expect(open(none, `${root}/directory/file/`)).toBe("ENOTDIR");
    expect(open(none, `${root}//./directory/../directory/file`)).toBe("content");
    expect(open(none, `${root}/none`)).toBe("ENOENT");
    expect(open(none, `${root}/direc\0tory`)).toBe("ENOENT");
    expect(code(none.stat(exchange, `${root}/link`))).toBe("ELOOP");
  });

  test("what `from` says may have links", () => {
    const from = (text: string) => linklessAccess({ refuses: "all", from: () => text });
    expect(open(from(`${root}/linked`), `${root}/linked/file`)).toBe("content");
    expect(open(from(`${root}/linked/`), `${root}/linked/file`)).toBe("content");
    expect(["ELOOP", "ENOTDIR"]).toContain(open(from(`${root}/link`), `${root}/linked/file`));
    expect(open(from(`${root}/link`), `${root}/link`)).toBe("content");
  });

  test.if(process.getuid?.() !== 0)("links to what belongs to others", () => {
    symlinkSync("/etc/passwd", `${root}/others`);
    expect(open(linklessAccess({ refuses: "foreign", from: () => "" }), `${root}/others`)).toBe("ELOOP");
  });

  test("links to one's own may stay", () => {
    const own = linklessAccess({ refuses: "foreign", from: () => "" });
    expect(open(own, `${root}/link`)).toBe("content");
    expect(open(own, `${root}/linked/file`)).toBe("content");
  });
});

describe("open_file_cache", () => {
  const at = (ms: number) => exchangeFor("/", { at: ms });

  function counted(rule: Partial<Parameters<typeof cachedAccess>[2]> = {}, max = 10) {
    let looks = 0;
    const inner: FileAccess = {
      ...plainAccess,
      open: (from, path) => {
        looks++;
        return plainAccess.open(from, path);
      },
    };
    const cache = new OpenFileCache(max, 1000);
    const access = cachedAccess(inner, cache, { validMs: 500, minUses: 1, errors: false, ...rule }, (_, path) => path);
    return {
      cache,
      looks: (ms: number, path: string): number => {
        const before = looks;
        access.stat(at(ms), path);
        return looks - before;
      },
    };
  }

  test("believes what it has seen for open_file_cache_valid", () => {
    const { looks } = counted();
    expect([0, 499, 500, 501].map((ms) => looks(ms, `${root}/directory/file`))).toEqual([1, 0, 1, 0]);
  });

  test("forgets what nobody has asked for", () => {
    const { looks } = counted({ validMs: 5000 });
    expect([0, 999, 1998, 2998].map((ms) => looks(ms, `${root}/directory/file`))).toEqual([1, 0, 0, 1]);
  });

  test("files must have been asked for often enough, directories need not", () => {
    const { looks } = counted({ minUses: 3 });
    expect([0, 1, 2, 3].map((ms) => looks(ms, `${root}/directory/file`))).toEqual([1, 1, 1, 0]);
    expect([0, 1].map((ms) => looks(ms, `${root}/directory`))).toEqual([1, 0]);
  });

  test("failures are remembered only if that is asked for", () => {
    expect([0, 1].map((ms) => counted().looks(ms, `${root}/none`))).toEqual([1, 1]);
    const { looks } = counted({ errors: true });
    expect([0, 1].map((ms) => looks(ms, `${root}/none`))).toEqual([1, 0]);
  });

  test("holds no more than max, and drops what was not used for longest", () => {
    const { looks, cache } = counted({}, 2);
    looks(0, `${root}/directory`);
    looks(1, root);
    looks(2, `${root}/directory`);
    looks(3, "/");
    expect(cache.size).toBe(2);
    expect(looks(4, `${root}/directory`)).toBe(0);
    expect(looks(5, root)).toBe(1);
  });
});
