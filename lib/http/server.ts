import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import { messageOf, VarveError } from '../errors/index.js';
import type { Service } from '../service/index.js';
import { splitListenAddress } from '../settings/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import { CrossOrigin } from './cors.js';
import { Exchange, TEXT_TYPE } from './exchange.js';
import { RouteMetrics } from './route-metrics.js';

/**
 * The HTTP server. Hot routes (push, query) are found in a map by their exact path before express is asked, because
 * express costs about 100 microseconds more per request; express carries everything else.
 */

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';

/** Answers a request. Whatever it throws becomes a short text with the status of `statusOf`. */
export type Handler = (exchange: Exchange) => Promise<void> | void;

export interface HttpServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  /** Origins of web pages that may read answers, as a regular expression; '' for none. */
  readonly corsOrigin: string;
}

/** When a route answers: `always`, or only between `open()` and `stop()`; until then it answers 503. */
export type Availability = 'always' | 'when-open';

interface HotRoute {
  readonly handlers: Map<string, Handler>;
  readonly name: string;
}

export class HttpServer implements Service {
  readonly #options: HttpServerOptions;
  readonly #logger: Logger;
  readonly #metrics: RouteMetrics;
  readonly #hot = new Map<string, HotRoute>();
  readonly #app: Express = express();
  readonly #server: Server;
  readonly #crossOrigin: CrossOrigin | null;
  #isOpen = false;
  #isStopping = false;

  constructor(options: HttpServerOptions, metrics: Metrics, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#metrics = new RouteMetrics(metrics);
    this.#crossOrigin = options.corsOrigin === '' ? null : new CrossOrigin(options.corsOrigin);
    this.#app.disable('x-powered-by');
    this.#app.set('etag', false);
    this.#app.enable('case sensitive routing');
    this.#server = createServer(
      {
        keepAlive: true,
        keepAliveTimeout: options.idleTimeoutMs,
        headersTimeout: options.headersTimeoutMs,
        requestTimeout: options.headersTimeoutMs + options.bodyTimeoutMs,
        connectionsCheckingInterval: Math.min(5000, Math.max(50, options.headersTimeoutMs / 2)),
        noDelay: true,
      },
      (request, response) => this.#dispatch(request, response),
    );
    this.#server.maxConnections = options.maxConnections;
    metrics.gauge('varve_http_connections', 'Open connections of the HTTP server.', [], (gauge) => {
      this.#server.getConnections((_error, count) => gauge.set(count));
    });
  }

  /** Adds a route that is matched by its exact path, before express. */
  hot(methods: readonly Method[], path: string, handler: Handler): void {
    const route = this.#hot.get(path) ?? { handlers: new Map<string, Handler>(), name: path };
    for (const method of methods) route.handlers.set(method, handler);
    this.#hot.set(path, route);
  }

  /** Adds a route with an express 5 path, such as `/api/v1/label/:name/values`. Other methods get 405. */
  route(
    methods: readonly Method[],
    path: string,
    handler: Handler,
    availability: Availability = 'when-open',
  ): void {
    this.#app.all(path, async (request, response) => {
      const params = request.params as Record<string, string>;
      const exchange = new Exchange(request, response, () => this.#isStopping, params);
      this.#metrics.track(path, response);
      if (request.method === 'OPTIONS') exchange.sendEmpty(204);
      else if (methods.includes(request.method as Method)) await this.#run(exchange, handler, availability);
      else refuseMethod(exchange, methods);
    });
  }

  /** Lets requests in to the routes that wait for it. */
  open(): void {
    this.#isOpen = true;
  }

  /** The address in use; port 0 resolved. */
  get address(): AddressInfo {
    return this.#server.address() as AddressInfo;
  }

  async start(): Promise<void> {
    this.#app.use((request: IncomingMessage, response: ServerResponse) => {
      this.#metrics.track('other', response);
      const exchange = new Exchange(request, response, () => this.#isStopping);
      if (request.method === 'OPTIONS') exchange.sendEmpty(204);
      else exchange.sendText(404, '404 page not found');
    });
    this.#app.use(
      // Express knows an error handler by its four parameters.
      (error: unknown, request: IncomingMessage, response: ServerResponse, _next: () => void) => {
        this.#metrics.track('other', response);
        const status = (error as { status?: number }).status ?? 500;
        new Exchange(request, response, () => this.#isStopping).sendText(status, messageOf(error));
      },
    );
    const target = splitListenAddress(this.#options.listen);
    if (target === null) {
      throw new VarveError('client', 'http-listen-invalid', `cannot listen on "${this.#options.listen}"`);
    }
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(target.port, target.host, () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
    const { address, port } = this.address;
    this.#logger.info({ address, port }, 'listening for HTTP');
  }

  /** Stops accepting, lets running requests finish for `shutdownTimeoutMs`, then closes what is left. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => {
      this.#logger.warn({}, 'requests still running at the end of the shutdown time are cut off');
      this.#server.closeAllConnections();
    }, this.#options.shutdownTimeoutMs);
    await closed;
    clearTimeout(timer);
  }

  #dispatch(request: IncomingMessage, response: ServerResponse): void {
    this.#crossOrigin?.apply(request, response);
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    const route = this.#hot.get(mark < 0 ? url : url.slice(0, mark));
    if (route === undefined) {
      this.#app(request, response);
      return;
    }
    this.#metrics.track(route.name, response);
    const exchange = new Exchange(request, response, () => this.#isStopping);
    const handler = route.handlers.get(request.method ?? '');
    if (handler !== undefined) void this.#run(exchange, handler, 'when-open');
    else if (request.method === 'OPTIONS') exchange.sendEmpty(204);
    else refuseMethod(exchange, [...route.handlers.keys()]);
  }

  async #run(exchange: Exchange, handler: Handler, availability: Availability): Promise<void> {
    if (!this.#isOpen && availability === 'when-open') {
      exchange.sendText(503, 'the server is starting', { 'Retry-After': 5 });
      return;
    }
    try {
      await handler(exchange);
    } catch (error) {
      const status = statusOf(error);
      if (status >= 500 && status !== 503) {
        this.#logger.error({ path: exchange.path, error: messageOf(error) }, 'request failed');
      }
      exchange.sendText(status, messageOf(error));
    }
  }
}

function refuseMethod(exchange: Exchange, methods: readonly string[]): void {
  const allow = [...methods, 'OPTIONS'].sort().join(', ');
  exchange.send(405, TEXT_TYPE, 'Method Not Allowed\n', {
    Allow: allow,
    'X-Content-Type-Options': 'nosniff',
  });
}

const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  'tenant-missing': 401,
  'body-too-large': 413,
  'unsupported-media-type': 415,
  'queue-full': 429,
};

const STATUS_BY_KIND: Readonly<Record<VarveError['kind'], number>> = {
  client: 400,
  limit: 422,
  unavailable: 503,
  timeout: 503,
  cancelled: 499,
  corruption: 500,
  internal: 500,
};

/** The HTTP status of anything thrown: by code where it has its own, else by kind. */
export function statusOf(error: unknown): number {
  if (!(error instanceof VarveError)) return 500;
  return STATUS_BY_CODE[error.code] ?? STATUS_BY_KIND[error.kind];
}
