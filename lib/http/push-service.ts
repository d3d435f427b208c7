/** The answer to a push, as the sender will see it. */
export interface PushOutcome {
  /** 200 or 204 when everything is stored; 4xx when a retry cannot succeed; 429, 503 when it can. */
  readonly status: number;
  /** Short text for the sender's log; '' for none. */
  readonly message: string;
  /** Seconds for the `Retry-After` header; 0 for none. */
  readonly retryAfterSeconds: number;
}

/** Takes remote write 1.0 requests. Implemented by the distributor. */
export interface PushService {
  /**
   * Stores a request; resolves when what it accepted is durable.
   * @param tenant     a valid tenant id
   * @param body       the compressed body in pieces; the callee may keep them
   * @param byteLength total length of the pieces
   */
  push(tenant: string, body: readonly Uint8Array[], byteLength: number): Promise<PushOutcome>;
}
