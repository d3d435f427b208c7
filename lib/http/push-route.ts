import type { IncomingMessage } from 'node:http';
import { VarveError } from '../errors/index.js';
import type { Metrics } from '../telemetry/index.js';
import { type TenantOptions, tenantOfHeader } from '../tenant/index.js';
import { readBody } from './body.js';
import type { Exchange } from './exchange.js';
import type { PushService } from './push-service.js';
import type { HttpServer } from './server.js';

/** Every path under which some sender expects the remote write endpoint (docs/http-api.md). */
export const PUSH_PATHS = [
  '/api/v1/push',
  '/api/v1/write',
  '/api/v1/receive',
  '/api/prom/push',
  '/prometheus/api/v1/write',
  '/prometheus/api/v1/push',
] as const;

export interface PushRouteOptions {
  readonly bodyBytesMax: number;
  /** Bodies held at once by all requests. */
  readonly inflightBytesMax: number;
  readonly tenant: TenantOptions;
}

/**
 * Mounts the remote write endpoint. Headers are checked before the body is read, so that 415 wins over 400, and a
 * body that is too large is refused before it is received.
 */
export function mountPush(
  server: HttpServer,
  service: PushService,
  options: PushRouteOptions,
  metrics: Metrics,
): void {
  let inflightBytes = 0;
  metrics.gauge(
    'varve_push_inflight_bytes',
    'Bodies of push requests being received or stored.',
    [],
    (gauge) => {
      gauge.set(inflightBytes);
    },
  );
  const received = metrics
    .counter('varve_push_received_bytes_total', 'Compressed bytes of push requests.')
    .labels();

  const handle = async (exchange: Exchange): Promise<void> => {
    const { request } = exchange;
    const tenant = tenantOfHeader(request.headers['x-scope-orgid'], options.tenant);
    checkContentType(request.headers['content-type']);
    checkContentEncoding(request.headers['content-encoding']);
    const reserved = reserveSize(request, options.bodyBytesMax);
    if (inflightBytes + reserved > options.inflightBytesMax && inflightBytes > 0) {
      exchange.sendText(503, 'too many push requests in flight (push.max_inflight_bytes), try again', {
        'Retry-After': 1,
      });
      return;
    }
    inflightBytes += reserved;
    let held = reserved;
    try {
      const body = await readBody(request, options.bodyBytesMax);
      inflightBytes += body.byteLength - held;
      held = body.byteLength;
      received.inc(body.byteLength);
      const outcome = await service.push(tenant, body.chunks, body.byteLength);
      if (outcome.status < 300 && outcome.message === '') exchange.sendEmpty(outcome.status);
      else if (outcome.retryAfterSeconds > 0) {
        exchange.sendText(outcome.status, outcome.message, { 'Retry-After': outcome.retryAfterSeconds });
      } else exchange.sendText(outcome.status, outcome.message);
    } finally {
      inflightBytes -= held;
    }
  };
  for (const path of PUSH_PATHS) server.hot(['POST'], path, handle);
}

/** What a request will hold, as far as it says; chunked bodies count when they have arrived. */
function reserveSize(request: IncomingMessage, bytesMax: number): number {
  const declared = Number(request.headers['content-length'] ?? 0);
  return declared > bytesMax ? 0 : declared;
}

const MEDIA_TYPE = 'application/x-protobuf';
const MESSAGE_TYPE = 'prometheus.WriteRequest';

/** Accepts `application/x-protobuf`, with or without the 1.0 message name, and a missing header. */
function checkContentType(header: string | undefined): void {
  if (header === undefined || header === '' || header === MEDIA_TYPE) return;
  const [mediaType, ...parameters] = header.split(';').map((part) => part.trim());
  if (mediaType!.toLowerCase() !== MEDIA_TYPE) {
    throw unsupported(`expected ${MEDIA_TYPE} as the first (media) part, got ${header} content-type`);
  }
  for (const parameter of parameters) {
    const [key, value] = parameter.split('=').map((part) => part.trim());
    if (key === 'proto' && value !== MESSAGE_TYPE) {
      throw unsupported(
        `${value ?? ''} protobuf message is not accepted by this server; only accepts ${MESSAGE_TYPE}`,
      );
    }
  }
}

function checkContentEncoding(header: string | undefined): void {
  if (header === undefined || header === '' || header === 'snappy') return;
  throw unsupported(
    `${header} encoding (compression) is not accepted by this server; only snappy is acceptable`,
  );
}

function unsupported(message: string): VarveError {
  return new VarveError('client', 'unsupported-media-type', message);
}
