/** What ends a stream or a connection (RFC 9113 5.4, 7). Values, not exceptions: hostile input is ordinary input. */

/** RFC 9113 7. */
export const code = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

export type ErrorCode = (typeof code)[keyof typeof code];

/** A rule was broken so that the connection has to end. */
export interface ConnectionError {
  readonly code: ErrorCode;
  /** "RFC 9113 6.5.2" */
  readonly rule: string;
  /** For the log. Never sent to the client. */
  readonly detail: string;
}

export const connectionError = (code: ErrorCode, rule: string, detail: string): ConnectionError => ({
  code,
  rule,
  detail,
});

/** The peer broke a rule of the protocol that has no code of its own. */
export const broken = (rule: string, detail: string): ConnectionError =>
  connectionError(code.protocolError, rule, detail);
