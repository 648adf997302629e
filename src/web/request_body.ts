/** A request's body as handlers see it: they read it whole, take it piece by piece, or leave it. */
import type { Source } from "../http/message.ts";
import type { ClientLimits } from "./limits.ts";

/** The whole body: in memory while small, else in a temporary file. */
export type BufferedBody =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** `path`: its name, where it has one (`client_body_in_file_only`). */
  | { readonly kind: "file"; readonly fd: number; readonly length: number; readonly path: string | undefined };

export interface RequestBody {
  /**
   * Reads all of it; asks the client to continue if it waits for that. Asked again it gives the same. Rejects with HttpFailure
   * if the client gives up, breaks a rule or sends more than it may.
   */
  read(limits: ClientLimits): Promise<BufferedBody>;
  /**
   * The body as it arrives (`proxy_request_buffering off`); the client is read no faster than it is pulled. Instead of `read`;
   * after it, what it has given.
   */
  stream(limits: ClientLimits): Source;
  /** What `read` has given, once it has. */
  readonly whole: BufferedBody | undefined;
  /** Bytes received so far. */
  readonly received: number;
  /** Somebody needs it beyond the end of the response (mirror): it is kept until one more has released it. */
  hold(): void;
  /** Lets go of the temporary file, if there is one. Call it when the response has ended. */
  release(): void;
}
