/** A request's body as handlers see it: they read it whole or leave it. */

/** The whole body: in memory while small, else in a temporary file that has no name. */
export type BufferedBody =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "file"; readonly fd: number; readonly length: number };

export interface RequestBody {
  /** Reads all of it; asks the client to continue if it waits for that. Rejects if the client gives up or breaks a rule. */
  read(): Promise<BufferedBody>;
  /** Lets go of the temporary file, if there is one. Call it when the response has ended. */
  release(): void;
}
