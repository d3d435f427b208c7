/**
 * The one error class of the project. `kind` alone decides retry, quorum counting and HTTP or gRPC status; `code` is
 * stable, kebab-case and never reused, so that callers and dashboards can rely on it. Callers branch on `kind` or
 * `code`, never on the text.
 */
export type ErrorKind =
  | 'client'
  | 'limit'
  | 'unavailable'
  | 'corruption'
  | 'cancelled'
  | 'timeout'
  | 'internal';

/** Small, loggable facts beside the message: a file, an offset, a limit, a value. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

export interface VarveErrorOptions {
  readonly cause?: unknown;
  readonly details?: ErrorDetails;
}

/** An error with an identity. The message says what could not be done, the value, the limit and the setting. */
export class VarveError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly details: ErrorDetails;

  constructor(kind: ErrorKind, code: string, message: string, options: VarveErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'VarveError';
    this.kind = kind;
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Bytes that are not what their format says. Names the file or object, the offset, what was expected and found. */
export class CorruptionError extends VarveError {
  constructor(code: string, message: string, options: VarveErrorOptions = {}) {
    super('corruption', code, message, options);
    this.name = 'CorruptionError';
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
