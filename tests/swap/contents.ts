/** What is sent and expected: files of the web server, bodies, and what the application pieces.py makes. Text is latin-1 of its bytes. */
import { createHash } from "node:crypto";

export const sha256 = (text: string): string => createHash("sha256").update(Buffer.from(text, "latin1")).digest("hex");
/** So many bytes that do not repeat soon, as latin-1 text. */
const noise = (length: number): string => {
  let text = "";
  for (let i = 0; text.length < length; i++) text += createHash("sha256").update(String(i)).digest("latin1").repeat(32);
  return text.slice(0, length);
};
export const lines = (count: number): string => Array.from({ length: count }, (_, i) => `line ${i}\n`).join("");
/** What the application's /large/SIZE gives. */
export const large = (size: number): string => {
  const block = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString("latin1");
  return block.repeat(Math.ceil(size / 256)).slice(0, size);
};

export const upload = noise(20 << 20);
export const uploadDigest = sha256(upload);
export const robots = "User-agent: *\nDisallow: /boom\n";
export const alphabet = "abcdefghijklmnopqrstuvwxyz";
export const files = {
  "public/robots.txt": robots,
  "public/alphabet.txt": alphabet,
  "public/download.bin": Buffer.from(large(300_000), "latin1"),
  "guarded/report.txt": "for few eyes\n",
  "pages/500.html": "<h1>Nobody is there</h1>\n",
};
