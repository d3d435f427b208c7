import { messageOf, VarveError } from '../errors/index.js';

/** What the SDK throws, as far as it matters here. */
interface ServiceFault {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const HINTS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'create the bucket, or correct --bucket',
  AccessDenied: 'give the credentials read, write, list and delete rights on the bucket',
  InvalidAccessKeyId: 'correct the access key',
  SignatureDoesNotMatch: 'correct the secret key (and --s3-region)',
  ExpiredToken: 'renew the session token',
  RequestTimeTooSkewed: 'set the clock of this machine',
  PermanentRedirect: 'correct --s3-region or --s3-endpoint',
  AuthorizationHeaderMalformed: 'correct --s3-region',
  CredentialsProviderError:
    'give credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role',
};

/** For failures whose name says nothing, by status. */
function hintFor(status: number): string | undefined {
  if (status === 403) return HINTS['AccessDenied'];
  if (status === 0) return 'check that the store runs and can be reached (--s3-endpoint)';
  return status === 429 || status >= 500 ? 'check state and load of the store' : undefined;
}

/** Status of a failed request, 0 when there was no answer. */
export function statusOf(thrown: unknown): number {
  return (thrown as ServiceFault | null)?.$metadata?.httpStatusCode ?? 0;
}

/** The store's name for a failure. */
export function faultNameOf(thrown: unknown): string {
  const fault = thrown as ServiceFault | null;
  return fault?.name ?? '';
}

/**
 * An `unavailable` error for anything a store answered or failed to answer. Wrong settings and missing rights are
 * `bucket-refused`: repeating the request at once is pointless, but an operator may cure them, so callers that must not
 * lose anything go on trying at their own pace.
 */
export function bucketFailure(action: string, where: string, thrown: unknown): VarveError {
  if (thrown instanceof VarveError) return thrown;
  const status = statusOf(thrown);
  const name = faultNameOf(thrown);
  const isRefused = (status >= 300 && status < 500 && !isTransient(status, name)) || name in HINTS;
  const hint = HINTS[name] ?? hintFor(status);
  const text = [
    `cannot ${action} ${where}: ${status === 0 ? '' : `${status} `}${describe(thrown, name, messageOf(thrown))}`,
    ...(hint === undefined ? [] : [hint]),
  ].join('; ');
  return new VarveError('unavailable', isRefused ? 'bucket-refused' : 'bucket-unavailable', text, {
    cause: thrown,
    details: { object: where, status },
  });
}

/** What the SDK puts before the message of an error that it does not take for one. */
const WRAPPER = /^AWS SDK error wrapper for (\w*Error: )?/;

function describe(thrown: unknown, name: string, message: string): string {
  // Further lines are advice on debugging the SDK.
  const text = message.replace(WRAPPER, '').split('\n', 1)[0] ?? '';
  // SDK and Node call it "TimeoutError" and "aborted".
  const isBroken =
    (thrown as ServiceFault | null)?.code === 'ECONNRESET' || /ECONNRESET|^aborted$/.test(text);
  if (isBroken) return 'the connection broke (ECONNRESET)';
  if (name === '' || name === 'Error' || text.startsWith(name)) return text;
  return text === '' ? name : `${name}: ${text}`;
}

function isTransient(status: number, name: string): boolean {
  return status === 408 || status === 429 || name === 'RequestTimeout' || name === 'SlowDown';
}
