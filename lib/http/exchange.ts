import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { deflate, gzip } from 'node:zlib';

const packers = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;

/** Below this a compressed answer saves no packet and costs more than it brings. */
const PACKED_BYTES_MIN = 1400;
/** Level 1: JSON of samples shrinks to about a tenth already, at a third of the CPU of the default level. */
const PACK_OPTIONS = { level: 1 };
/** Senders log the first KiB of an error body; more is waste. */
const ERROR_TEXT_BYTES_MAX = 1000;

export const JSON_TYPE = 'application/json';
export const TEXT_TYPE = 'text/plain; charset=utf-8';
export const HTML_TYPE = 'text/html; charset=utf-8';

/** One request and its answer. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path without the query string, as sent (percent-encoded). */
  readonly path: string;
  /** Query string without `?`, as sent. */
  readonly search: string;
  /** Parts of the path that the route names, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly #isServerStopping: () => boolean;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    isServerStopping: () => boolean,
    params: Readonly<Record<string, string>> = {},
  ) {
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    this.request = request;
    this.response = response;
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.search = mark < 0 ? '' : url.slice(mark + 1);
    this.params = params;
    this.#isServerStopping = isServerStopping;
  }

  /** True when the answer can't reach the client any more or was sent already. */
  get isClosed(): boolean {
    return this.response.writableEnded || this.response.destroyed;
  }

  /** Calls back once if the client goes away before it got its answer. */
  onDisconnect(callback: () => void): void {
    this.response.once('close', () => {
      if (!this.response.writableFinished) callback();
    });
  }

  /** Answers. `headers` are added to the content headers. Does nothing when the client is gone. */
  send(
    status: number,
    contentType: string,
    body: Uint8Array | string,
    headers: Readonly<Record<string, string | number>> = {},
  ): void {
    if (this.isClosed) return;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const { response } = this;
    if (this.#isServerStopping()) response.setHeader('Connection', 'close');
    for (const name in headers) response.setHeader(name, headers[name]!);
    if (bytes.byteLength > 0 || contentType !== '') response.setHeader('Content-Type', contentType);
    if (status !== 204) response.setHeader('Content-Length', bytes.byteLength);
    response.statusCode = status;
    response.end(bytes);
  }

  /** As `send`, compressed when the client asked for it and the body is large enough to be worth it. */
  async sendCompressed(
    status: number,
    contentType: string,
    body: Uint8Array | string,
    headers: Readonly<Record<string, string | number>> = {},
  ): Promise<void> {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const coding = codingOf(this.request.headers['accept-encoding']);
    if (bytes.byteLength < PACKED_BYTES_MIN || coding === null) {
      this.send(status, contentType, bytes, headers);
      return;
    }
    const packed = await packers[coding](bytes, PACK_OPTIONS);
    if (this.isClosed) return;
    this.response.appendHeader('Vary', 'Accept-Encoding');
    this.send(status, contentType, packed, { ...headers, 'Content-Encoding': coding });
  }

  /** Answers with an empty body. */
  sendEmpty(status: number, headers: Readonly<Record<string, string | number>> = {}): void {
    this.send(status, '', '', headers);
  }

  /** Answers with a short text, cut where senders stop reading. */
  sendText(status: number, text: string, headers: Readonly<Record<string, string | number>> = {}): void {
    this.send(status, TEXT_TYPE, `${cutUtf8(text, ERROR_TEXT_BYTES_MAX)}\n`, {
      'X-Content-Type-Options': 'nosniff',
      ...headers,
    });
  }
}

function cutUtf8(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/** The coding that an `Accept-Encoding` header allows: gzip before deflate, null for none. */
export function codingOf(header: string | string[] | undefined): 'gzip' | 'deflate' | null {
  if (header === undefined) return null;
  let isDeflate = false;
  for (const item of String(header).split(',')) {
    const [name, ...parameters] = item.split(';');
    if (parameters.some((parameter) => /^\s*q\s*=\s*0(\.0*)?\s*$/i.test(parameter))) continue;
    const coding = name!.trim().toLowerCase();
    if (coding === 'gzip') return 'gzip';
    if (coding === 'deflate') isDeflate = true;
  }
  return isDeflate ? 'deflate' : null;
}
