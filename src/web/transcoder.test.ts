import { expect, test } from "bun:test";
import { constants, gunzipSync, gzipSync } from "node:zlib";
import { gunzipper, gzipper } from "./transcoder.ts";

const none = new Uint8Array(0);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
/** What can be read of a gzip stream whose end is missing. */
const readable = (bytes: Uint8Array): string => gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString();

test("what goes in comes out at once, where that is wanted", async () => {
  const stream = gzipper(1, true);
  const pieces: Uint8Array[] = [];
  for (const event of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
    pieces.push(await stream.transform(Buffer.from(event), false));
    expect(readable(Buffer.concat(pieces))).toEndWith(event);
  }
  pieces.push(await stream.transform(none, true));
  expect(text(gunzipSync(Buffer.concat(pieces)))).toBe("data: 1\n\ndata: 2\n\ndata: 3\n\n");
  stream.close();
});

test("large pieces that cannot be packed come out whole", async () => {
  const noise = Buffer.concat(Array.from({ length: 16 }, () => crypto.getRandomValues(new Uint8Array(65_536))));
  const stream = gzipper(1, false);
  const pieces = [await stream.transform(noise, false), await stream.transform(noise, true)];
  expect(gunzipSync(Buffer.concat(pieces))).toEqual(Buffer.concat([noise, noise]));
});

test("an empty content is a gzip member, too", async () => {
  expect(gunzipSync(await gzipper(1, false).transform(none, true))).toHaveLength(0);
});

test("gunzip: byte by byte, several members", async () => {
  const packed = Buffer.concat([gzipSync("one "), gzipSync("two")]);
  const stream = gunzipper();
  let all = "";
  for (let i = 0; i < packed.length; i++)
    all += text(await stream.transform(packed.subarray(i, i + 1), i === packed.length - 1));
  expect(all).toBe("one two");
});

test("gunzip: what is cut off, or is no gzip, is refused", async () => {
  const packed = gzipSync("text");
  await expect(gunzipper().transform(packed.subarray(0, -1), true)).rejects.toThrow("unexpected end of file");
  const stream = gunzipper();
  await expect(stream.transform(Buffer.from("no gzip"), false)).rejects.toThrow("incorrect header check");
  await expect(stream.transform(none, true)).rejects.toThrow("incorrect header check");
});
