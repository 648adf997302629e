import { expect, test } from "bun:test";
import { headerLimits, nginxPolicy, type Policy } from "./policy.ts";
import { H1Server } from "./server.ts";

/** The status that a head is refused with; undefined: it is not, or not complete. */
function refusal(text: string, policy: Policy): number | undefined {
  const event = new H1Server(policy).receive(Buffer.from(text, "latin1"))[0];
  return event?.type === "refused" ? event.error.status : undefined;
}

test("client_header_buffer_size and large_client_header_buffers", () => {
  const policy = { ...nginxPolicy, ...headerLimits({ bufferSize: 128, largeCount: 5, largeSize: 256 }) };
  const line = (length: number) => `GET /${"x".repeat(length - 16)} HTTP/1.0\r\n`;
  const field = (length: number) => `X: ${"x".repeat(length - 5)}\r\n`;
  expect(line(256).length).toBe(256);
  expect(field(256).length).toBe(256);
  expect(refusal(`${line(256)}\r\n`, policy)).toBeUndefined();
  expect(refusal(`${line(257)}\r\n`, policy)).toBe(414);
  expect(refusal(`${line(20)}${field(256)}\r\n`, policy)).toBeUndefined();
  expect(refusal(`${line(20)}${field(257)}\r\n`, policy)).toBe(494);
  // 128 + 5 * 256 = 1408 bytes in all.
  expect(refusal(`${line(128)}${field(256).repeat(5)}\r\n`, policy)).toBeUndefined();
  expect(refusal(`${line(129)}${field(256).repeat(5)}\r\n`, policy)).toBe(494);
});

test("a line that fits into the small buffer fits, however small the large ones are", () => {
  expect(headerLimits({ bufferSize: 1024, largeCount: 4, largeSize: 512 })).toEqual({
    requestLineLimit: 1022,
    fieldLimit: 1024,
    fieldsLimit: 3072,
  });
});
