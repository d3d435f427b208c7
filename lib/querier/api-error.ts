import { messageOf, VarveError } from '../errors/index.js';
import { quoteJsonHtml } from './json-bytes.js';

/** The `errorType` of an answer and the status that belongs to it. */
const STATUS_BY_TYPE = {
  bad_data: 400,
  not_found: 404,
  not_acceptable: 406,
  execution: 422,
  canceled: 499,
  internal: 500,
  timeout: 503,
  unavailable: 503,
} as const;

export type ErrorType = keyof typeof STATUS_BY_TYPE;

const TYPE_BY_KIND: Readonly<Record<VarveError['kind'], ErrorType>> = {
  client: 'bad_data',
  limit: 'execution',
  unavailable: 'unavailable',
  corruption: 'internal',
  cancelled: 'canceled',
  timeout: 'timeout',
  internal: 'internal',
};

/** A bad parameter, in Prometheus' words. */
export function badData(message: string, cause?: unknown): VarveError {
  return new VarveError('client', 'api-bad-data', message, { cause });
}

/** `invalid parameter "step": …` */
export function badParameter(name: string, message: string): VarveError {
  return badData(`invalid parameter "${name}": ${message}`);
}

export function errorTypeOf(error: unknown): ErrorType {
  if (!(error instanceof VarveError)) return 'internal';
  return error.code === 'promql-execution' ? 'execution' : TYPE_BY_KIND[error.kind];
}

export interface EncodedAnswer {
  readonly status: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The error envelope with its status. */
export function encodeError(error: unknown): EncodedAnswer {
  const type = errorTypeOf(error);
  const text = `{"status":"error","errorType":"${type}","error":${quoteJsonHtml(messageOf(error))}}`;
  return { status: STATUS_BY_TYPE[type], body: new TextEncoder().encode(text) };
}
