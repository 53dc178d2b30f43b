// Generated from libs/errors/src/table.rs by `cargo xtask codegen`: do not edit.

/** Every error code: what a client may do about it. */
export const CODES = Object.freeze({
  malformed_frame: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the frame is not valid JSON or protobuf of the edge protocol", advice: "fix the client: the connection ends, since what follows cannot be trusted" }),
  unknown_request: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the frame names no request that this server knows", advice: "check the request's name, or the server's version" }),
  invalid_argument: Object.freeze({ retryable: false, sideEffectFree: true, summary: "a field is missing, malformed or out of range; the message names it", advice: "correct the field" }),
  frame_too_large: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the frame is larger than `edge.max_frame_bytes`", advice: "send less in one frame" }),
  body_too_large: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the body is larger than `limits.max_body_bytes`", advice: "shorten the text, or send it as a file" }),
  unsupported_protocol: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the subprotocol asked for is none that this server speaks", advice: "ask for posthorn.v1.json or posthorn.v1.proto" }),
  wrong_frame_type: Object.freeze({ retryable: false, sideEffectFree: true, summary: "a text message on a protobuf connection, or a binary one on a JSON connection", advice: "send JSON as text messages and protobuf as binary ones" }),
  method_not_allowed: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the path exists, but not with this method; the `Allow` header names those it has", advice: "check the method against /v1/openapi.json" }),
  unsupported_media_type: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the body's Content-Type is not application/json", advice: "send JSON with `Content-Type: application/json`" }),
  not_connected: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the first frame of a connection must be `connect`", advice: "send `connect` with a token first" }),
  already_connected: Object.freeze({ retryable: false, sideEffectFree: true, summary: "a second `connect` on the same connection", advice: "use `refresh` to change the token" }),
  connect_timeout: Object.freeze({ retryable: true, sideEffectFree: true, summary: "no `connect` within `edge.connect_timeout_ms`", advice: "connect again and authenticate at once" }),
  unauthenticated: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the token or key is missing, malformed, unsigned, of a foreign tenant or signed by an unknown key", advice: "get a new token from the application's backend" }),
  token_expired: Object.freeze({ retryable: true, sideEffectFree: true, summary: "the token has expired", advice: "get a new token from the application's backend, then come back" }),
  token_revoked: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the token was revoked", advice: "sign in again" }),
  forbidden: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the caller may not do this here", advice: "ask an owner or admin of the conversation; operator keys read no content" }),
  not_found: Object.freeze({ retryable: false, sideEffectFree: true, summary: "no such conversation or user, or the caller may not know of it", advice: "check the id: what one may not see is answered like what does not exist" }),
  already_exists: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the id is taken by another object", advice: "choose another id, or use the one that is there" }),
  message_id_reused: Object.freeze({ retryable: false, sideEffectFree: true, summary: "this message_id was used by the same author for another body", advice: "make a new message_id for every new message" }),
  precondition_failed: Object.freeze({ retryable: false, sideEffectFree: true, summary: "an entry of the named kinds lies beyond `expected_seq`; `end_seq` tells the present end", advice: "read what is new and decide again" }),
  retry_too_old: Object.freeze({ retryable: false, sideEffectFree: false, summary: "the retry's `after_seq` lies too far back to look for the first copy", advice: "read the history from `after_seq` to see whether it was stored" }),
  stale_generation: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the seq or cursor is of another generation: the store was restored from a backup", advice: "sync from nothing, then send again with a new after_seq" }),
  idempotency_key_reused: Object.freeze({ retryable: false, sideEffectFree: true, summary: "this Idempotency-Key came with another request within 24 hours", advice: "make a new key for every new request" }),
  idempotency_in_flight: Object.freeze({ retryable: true, sideEffectFree: true, summary: "a request with this Idempotency-Key is being worked on", advice: "try again after the delay: the answer of the first will be repeated" }),
  members_limit: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the conversation has `limits.max_members` members", advice: "make another conversation" }),
  last_owner: Object.freeze({ retryable: false, sideEffectFree: true, summary: "a group's last owner cannot leave or step down while others remain", advice: "make another member owner first" }),
  rate_limited: Object.freeze({ retryable: true, sideEffectFree: true, summary: "more requests than the token's limit class, or the API key, allows; `limit` names which", advice: "wait `retry_after_ms`" }),
  too_many_pending: Object.freeze({ retryable: true, sideEffectFree: true, summary: "more than `edge.max_pending_requests` requests of this connection wait for an answer", advice: "wait for replies before sending more" }),
  too_many_watched: Object.freeze({ retryable: false, sideEffectFree: true, summary: "more than `edge.max_watched_users` users watched by one connection", advice: "watch only who is on the screen" }),
  flood: Object.freeze({ retryable: true, sideEffectFree: true, summary: "the connection went on sending far beyond its limits", advice: "come back after the delay, slower" }),
  slow_consumer: Object.freeze({ retryable: true, sideEffectFree: true, summary: "the connection did not read: its queue of `edge.max_queue_bytes` overflowed, or a write took longer than `edge.write_timeout_ms`", advice: "come back and sync: the log has everything" }),
  ping_timeout: Object.freeze({ retryable: true, sideEffectFree: true, summary: "no answer to a ping within `edge.ping_timeout_ms`", advice: "come back" }),
  admission: Object.freeze({ retryable: true, sideEffectFree: true, summary: "the gateway takes no more handshakes at the moment", advice: "come back after the delay" }),
  draining: Object.freeze({ retryable: true, sideEffectFree: true, summary: "this gateway is going down", advice: "come back: another gateway answers" }),
  connection_age: Object.freeze({ retryable: true, sideEffectFree: true, summary: "the connection reached its maximum age", advice: "come back with the resume token" }),
  session_replaced: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the same session was resumed on another connection", advice: "nothing: the newer connection is in use" }),
  unavailable: Object.freeze({ retryable: true, sideEffectFree: true, summary: "a part of the server does not answer; nothing was done", advice: "try again after a moment" }),
  not_confirmed: Object.freeze({ retryable: true, sideEffectFree: false, summary: "whether the entry was stored is not known yet", advice: "send again with the same message_id, after_seq and `retry`" }),
  deadline_exceeded: Object.freeze({ retryable: true, sideEffectFree: false, summary: "the answer did not come in time", advice: "try again with the same message_id" }),
  overloaded: Object.freeze({ retryable: true, sideEffectFree: true, summary: "a queue of the server is full; `limit` names it", advice: "try again after a moment" }),
  store_full: Object.freeze({ retryable: true, sideEffectFree: true, summary: "the disk has less than `store.min_free_bytes` left: nothing is appended, reads go on", advice: "free disk space on the server; it recovers by itself" }),
  wrong_owner: Object.freeze({ retryable: true, sideEffectFree: true, summary: "another instance owns this conversation", advice: "nothing for clients: services ask again at the owner" }),
  data_loss: Object.freeze({ retryable: false, sideEffectFree: true, summary: "the log ends below a seq that was confirmed", advice: "restore the store: docs/operations.md says how" }),
  internal: Object.freeze({ retryable: false, sideEffectFree: false, summary: "a bug in the server; its log has the details under the trace id", advice: "report it with the trace id" }),
});

/** Close codes by number, with the error code behind each. */
export const CLOSE_CODES = Object.freeze({
  4400: "connect_timeout",
  4401: "ping_timeout",
  4410: "token_expired",
  4420: "flood",
  4421: "slow_consumer",
  4422: "admission",
  4430: "draining",
  4431: "connection_age",
  4432: "unavailable",
  4490: "internal",
  4500: "malformed_frame",
  4501: "frame_too_large",
  4502: "unsupported_protocol",
  4503: "wrong_frame_type",
  4504: "not_connected",
  4505: "already_connected",
  4510: "unauthenticated",
  4511: "token_revoked",
  4512: "session_replaced",
});

/** Whether a connection closed with this code is to be opened again. The range decides, so a code
 * that this build does not know is handled too. */
export function comesBack(close) {
  return !((close >= 1002 && close <= 1003) || (close >= 1007 && close <= 1010) || (close >= 4500 && close <= 4999));
}
