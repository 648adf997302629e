/** Datagrams to one place, sent at once or not at all: UDP and Unix sockets (the runtime knows no Unix datagrams). */
import type { Address } from "../base/address.ts";
import { checked, closeFd, SystemError, socketName } from "./libc.ts";
import { openLibc } from "./system_library.ts";

const signatures = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
} as const;

const libc = openLibc(signatures);

const family = { unix: 1, v4: 2, v6: 10 } as const;
const sockDatagram = 2 | 0o2000000 | 0o4000; // SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK
const noSignal = 0x4000; // MSG_NOSIGNAL

export type DatagramAddress = Exclude<Address, { kind: "fd" }>;

export class Datagram {
  readonly #address: DatagramAddress;
  #fd = -1;

  constructor(address: DatagramAddress) {
    this.#address = address;
  }

  /**
   * Sends one datagram; opens the socket if need be. An error closes it, so that the next datagram starts afresh: the
   * receiver may be another by then. Throws SystemError: ECONNREFUSED, ENOENT, EAGAIN (its queue is full), EMSGSIZE …
   */
  send(bytes: Uint8Array): void {
    if (this.#fd < 0) this.#open();
    try {
      checked("send", Number(libc.send(this.#fd, bytes, BigInt(bytes.length), noSignal)));
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "EAGAIN")) this.close();
      throw error;
    }
  }

  #open(): void {
    const address = this.#address;
    const domain = address.kind === "unix" ? family.unix : address.family === 6 ? family.v6 : family.v4;
    const fd = checked("socket", libc.socket(domain, sockDatagram, 0));
    try {
      const name = socketName(address);
      checked("connect", libc.connect(fd, name, name.length));
    } catch (error) {
      closeFd(fd);
      throw error;
    }
    this.#fd = fd;
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }
}
