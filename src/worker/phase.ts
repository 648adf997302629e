/**
 * What a connection is doing. new, idle: before the first request, and between two · head: one has begun to arrive · body: a handler reads its body ·
 * answering: a handler works or waits · sending: the response is on its way · tunnel: the connection has left HTTP ·
 * discarding: the response has left, the body has not ended · lingering: all is said, the peer may still be sending
 * (RFC 9112 9.6) · closed
 */
export type Phase =
  | "new"
  | "idle"
  | "head"
  | "body"
  | "answering"
  | "sending"
  | "tunnel"
  | "discarding"
  | "lingering"
  | "closed";
