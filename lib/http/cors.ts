import type { IncomingMessage, ServerResponse } from 'node:http';
import { compileRegexp } from '../regex/index.js';

const HEADERS = [
  ['Access-Control-Allow-Headers', 'Accept, Authorization, Content-Type, Origin, X-Scope-OrgID'],
  ['Access-Control-Allow-Methods', 'GET, POST, OPTIONS'],
  ['Access-Control-Expose-Headers', 'Date, Server-Timing'],
  ['Vary', 'Origin'],
] as const;

/** Lets web pages of other origins read answers, as Prometheus does with `--web.cors.origin`. */
export class CrossOrigin {
  readonly #allows: (origin: string) => boolean;

  /** @param pattern matches whole origins, such as `https://grafana\.example\.com` */
  constructor(pattern: string) {
    this.#allows = compileRegexp(pattern).test;
  }

  /** Adds the headers to an answer. */
  apply(request: IncomingMessage, response: ServerResponse): void {
    const { origin } = request.headers;
    if (origin === undefined || origin === '') return;
    for (const [name, value] of HEADERS) response.setHeader(name, value);
    if (this.#allows(origin)) response.setHeader('Access-Control-Allow-Origin', origin);
  }
}
