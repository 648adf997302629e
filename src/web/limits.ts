/** What a client may take of our time and memory in a location; named after Nginx's directives. */
export interface ClientLimits {
  /** client_header_timeout, ms: the whole head, however steadily it drips. */
  readonly headerTimeoutMs: number;
  /** client_body_timeout, ms: between two reads of the body. */
  readonly bodyTimeoutMs: number;
  /** client_max_body_size, bytes; 0: no bound. */
  readonly maxBodyBytes: number;
  /** client_body_buffer_size, bytes: above it a body goes to a file. */
  readonly bodyBufferBytes: number;
  /** client_body_in_file_only: "on" and "clean" write every body to a named file, "on" also keeps it. */
  readonly bodyInFile: "off" | "on" | "clean";
  /** client_body_temp_path. */
  readonly bodyTempPath: string;
  /** send_timeout, ms: between two writes that made progress. */
  readonly sendTimeoutMs: number;
  /** keepalive_timeout, ms: between two requests; 0: connections close. */
  readonly keepAliveTimeoutMs: number;
  /** The second value of keepalive_timeout, s: what a Keep-Alive field says; 0: none is sent. */
  readonly keepAliveHint: number;
  /** keepalive_requests, keepalive_time (ms). */
  readonly keepAliveRequests: number;
  readonly keepAliveMs: number;
  /** keepalive_min_timeout, ms. */
  readonly keepAliveMinMs: number;
  /** keepalive_disable. */
  readonly keepAliveDisabled: readonly string[];
  /** lingering_close, lingering_time, lingering_timeout (ms). */
  readonly lingeringClose: "off" | "on" | "always";
  readonly lingeringTimeMs: number;
  readonly lingeringTimeoutMs: number;
  /** reset_timedout_connection */
  readonly resetTimedOut: boolean;
  /** subrequest_output_buffer_size, bytes: of a response of ours that is kept in memory. */
  readonly subrequestBytes: number;
}
