import { request } from 'node:http';
import { gunzipSync, inflateSync } from 'node:zlib';
import type { ApiRequest } from './api-requests.js';

/** Sends one request to two programs and says where their answers differ. */

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** After decompression. */
  readonly body: string;
}

/** Puts the bounds of the data in place of their names. */
export function fillTimes(text: string, startMs: number, endMs: number): string {
  const middleMs = startMs + Math.floor((endMs - startMs) / 2000) * 1000;
  return text
    .replaceAll('START_ISO', new Date(startMs).toISOString())
    .replaceAll('END_ISO', new Date(endMs).toISOString())
    .replaceAll('START', String(startMs / 1000))
    .replaceAll('MIDDLE', String(middleMs / 1000))
    .replaceAll('END', String(endMs / 1000));
}

/** Sends a request exactly as it is written: no header is added but Host, and nothing of the target is encoded. */
export function sendRaw(
  base: string,
  target: string,
  { method, form, contentType, headers }: Omit<ApiRequest, 'target'>,
): Promise<ApiAnswer> {
  const url = new URL(base);
  const type = contentType ?? 'application/x-www-form-urlencoded';
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: url.hostname,
        port: url.port,
        method,
        path: `${url.pathname}/${target}`.replaceAll('"', '%22').replaceAll(' ', '%20'),
        headers: {
          ...headers,
          ...(form === undefined ? {} : { 'content-length': Buffer.byteLength(form) }),
          ...(form === undefined || type === '' ? {} : { 'content-type': type }),
        },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const bytes = Buffer.concat(parts);
          const encoding = response.headers['content-encoding'];
          const plain =
            encoding === 'gzip' ? gunzipSync(bytes) : encoding === 'deflate' ? inflateSync(bytes) : bytes;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: plain.toString() });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(form);
  });
}

/** Where Varve's answer differs from Prometheus', in words; empty when nowhere. */
export function answerDifferences(request: ApiRequest, expected: ApiAnswer, found: ApiAnswer): string[] {
  const { compare = 'data', own, ignoreKeys = [] } = request;
  if (own !== undefined) {
    return found.status === own.status
      ? []
      : [`status ${found.status}, own status ${own.status} was announced`];
  }
  const out: string[] = [];
  if (found.status !== expected.status) out.push(`status ${found.status} instead of ${expected.status}`);
  if (compare === 'status') return out;
  for (const name of ['content-type', 'content-encoding', 'allow', 'cache-control']) {
    const [wanted, got] = [expected.headers[name], found.headers[name]];
    if (wanted !== got) out.push(`${name}: ${got} instead of ${wanted}`);
  }
  const [wanted, got] = [expected, found].map(({ body }) => shapeOf(body, compare, ignoreKeys)) as [
    string,
    string,
  ];
  if (wanted !== got) out.push(`body ${got.slice(0, 600)}\n   instead of ${wanted.slice(0, 600)}`);
  return out;
}

function shapeOf(body: string, compare: 'data' | 'keys', ignoreKeys: readonly string[]): string {
  let value: unknown;
  try {
    value = JSON.parse(body, (key, item: unknown) => (ignoreKeys.includes(key) ? undefined : item));
  } catch {
    return body;
  }
  return JSON.stringify(compare === 'keys' ? keysOf(value) : sorted(value));
}

/** The same with objects' keys in order, and lists of series in the order of their labels. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(sorted);
    const areObjects = items.every(
      (item) => typeof item === 'object' && item !== null && !Array.isArray(item),
    );
    if (!areObjects) return items;
    return items
      .map((item) => JSON.stringify(item))
      .sort()
      .map((text) => JSON.parse(text) as unknown);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}

/** The names and types of a value's parts; of a list its length and its first item. */
function keysOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [keysOf(value[0])];
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, keysOf(item)]));
}
