/** The C library of the system, by whatever name it goes: glibc's, or musl's. */
import { dlopen, type FFIFunction, type Library } from "bun:ffi";

type Signatures = Readonly<Record<string, FFIFunction>>;

/** Its functions. Throws where there is none: not on a Linux that the runtime itself runs on. */
export function openLibc<const S extends Signatures>(signatures: S): Library<S>["symbols"] {
  try {
    return dlopen("libc.so.6", signatures).symbols;
  } catch {
    return dlopen(`libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`, signatures).symbols;
  }
}
