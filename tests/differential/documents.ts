/** The files that both servers serve. All have times of long ago, so that validators are the same and nothing is too young. */
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

const digits = "0123456789";
const words = "The quick brown fox jumps over the lazy dog. ".repeat(60);

const files: Readonly<Record<string, string | Uint8Array>> = {
  "index.html": "<html><head><title>home</title></head><body>home</body></html>\n",
  "a.txt": "the text a\n",
  "A.TXT": "the text A\n",
  "digits.txt": digits.repeat(10),
  "empty.txt": "",
  "large.txt": words,
  "page.html": "<html><body>one two one</body></html>\n",
  "data.json": '{"a": 1}\n',
  "style.css": "body { color: red }\n",
  "script.js": "var a = 1;\n",
  "image.png": "\x89PNG not really",
  "archive.tar.gz": "not really an archive",
  no_extension: "nothing known",
  "unknown.xyz": "an unknown type",
  ".hidden": "hidden",
  ".htpasswd": [
    "plain:{PLAIN}secret",
    "sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", // secret
    "apr1:$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0",
    "crypt:$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
    "",
  ].join("\n"),
  "space here.txt": "a name with a space",
  "per%cent.txt": "a name with a percent sign",
  "plus+plus.txt": "a name with plus signs",
  "quest?ion.txt": "a name with a question mark",
  "semi;colon.txt": "a name with a semicolon",
  "umläut.txt": "a name in UTF-8",
  "sub/index.html": "sub index\n",
  "sub/b.txt": "the text b\n",
  "sub/deep/c.txt": "the text c\n",
  "noindex/x.txt": "x",
  "noindex/y y.html": "y",
  "noindex/inner/z.txt": "z",
  "htm/index.htm": "another index\n",
  "packed/a.txt": "not packed, but long enough to be\n",
  "packed/a.txt.gz": gzipSync("packed\n"),
  "packed/only.txt.gz": gzipSync("there is only this\n"),
  "error/404.html": "our own 404\n",
  "error/50x.html": "our own 50x\n",
  "ssi/page.shtml":
    '<!--#set var="a" value="it" -->[<!--#echo var="a" -->][<!--#echo var="none" default="-" -->]' +
    '[<!--#include virtual="/ssi/part.txt" -->][<!--#if expr="$a = it" -->yes<!--#else -->no<!--#endif -->]' +
    '[<!--#config timefmt="%Y" --><!--#echo encoding="none" var="query_string" -->][<!--#flush -->]\n',
  "ssi/part.txt": "a part",
  "ssi/wrong.shtml":
    'a<!--#nothing x="y" -->b<!--#include virtual="/missing" -->c<!--#echo -->d<!--#if expr="$a" -->\n',
  "koi/a.html": "\xf0\xd2\xc9\xd7\xc5\xd4",
  "addition/before": "before|",
  "addition/after": "|after",
};

/** Nginx's types for what is in here, and the error pages' directory. */
export function writeDocuments(directory: string): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    // File names are given here as people read them; contents as bytes.
    writeFileSync(path, typeof content === "string" ? Buffer.from(content, "latin1") : content);
    utimesSync(path, 1_000_000_000, 1_000_000_000);
  }
  for (const name of ["noindex/inner", "noindex", "sub/deep", "sub"])
    utimesSync(join(directory, name), 1_000_000_000, 1_000_000_000);
}
