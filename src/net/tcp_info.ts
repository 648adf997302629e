import { openLibc } from "./system_library.ts";

/** What the kernel knows about a TCP connection ($tcpinfo_rtt …). */

const signatures = { getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" } } as const;

const libc = openLibc(signatures);

export interface TcpInfo {
  /** Smoothed round-trip time and its variation, µs. */
  readonly rtt: number;
  readonly rttvar: number;
  /** Congestion window, packets. */
  readonly snd_cwnd: number;
  /** What the receive buffer is dimensioned for, bytes. */
  readonly rcv_space: number;
}

const protocolTcp = 6; // IPPROTO_TCP
const optionInfo = 11; // TCP_INFO
/** Offsets in `struct tcp_info`, in words of 32 bits. */
const word = { rtt: 17, rttvar: 18, snd_cwnd: 20, rcv_space: 24 } as const;

/** undefined: it is no TCP connection. */
export function tcpInfo(fd: number): TcpInfo | undefined {
  const info = new Uint32Array(26);
  const length = new Uint32Array([info.byteLength]);
  if (libc.getsockopt(fd, protocolTcp, optionInfo, info, length) !== 0) return undefined;
  const at = (index: number): number => info[index] ?? 0;
  return {
    rtt: at(word.rtt),
    rttvar: at(word.rttvar),
    snd_cwnd: at(word.snd_cwnd),
    rcv_space: at(word.rcv_space),
  };
}
