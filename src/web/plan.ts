/** What a configuration asks of the processes around the web side; plain data for the master. */
import type { Address } from "../base/address.ts";

/** One address to listen on, and how (the directive `listen`). */
export interface ListenPlan {
  /** What the configuration's servers are found by: "127.0.0.1:8000", "0.0.0.0:80", "[::]:80", "unix:/run/x.sock". */
  readonly key: string;
  readonly address: Address;
  readonly backlog: number;
  /** One socket per web worker (SO_REUSEPORT), so that the kernel spreads connections evenly; else one for all. */
  readonly reusePort: boolean;
  /** IPV6_V6ONLY; means nothing for others. */
  readonly ipv6Only: boolean;
  /** SO_RCVBUF, SO_SNDBUF, bytes. */
  readonly receiveBuffer: number | undefined;
  readonly sendBuffer: number | undefined;
  /** TCP_FASTOPEN's queue. */
  readonly fastOpen: number | undefined;
  /** TCP_DEFER_ACCEPT. */
  readonly deferred: boolean;
  /** Of a Unix socket's file: which mode bits it does not have. */
  readonly umask?: number | undefined;
  /** SO_KEEPALIVE: off, on, or TCP_KEEPIDLE, TCP_KEEPINTVL (s), TCP_KEEPCNT. */
  readonly keepAlive: KeepAliveProbes | boolean | undefined;
}

export interface KeepAliveProbes {
  readonly idle?: number;
  readonly interval?: number;
  readonly count?: number;
}

/** Memory that web workers share (`limit_req_zone`, `proxy_cache_path` …). The master keeps it over a reload where name, kind and size are the same. */
export interface ZonePlan {
  readonly name: string;
  /** What is in it: "limit_req $binary_remote_addr". */
  readonly kind: string;
  readonly sizeBytes: number;
}
