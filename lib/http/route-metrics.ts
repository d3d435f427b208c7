import type { ServerResponse } from 'node:http';
import type { BoundCounter, BoundHistogram, Metrics } from '../telemetry/index.js';

interface RouteChildren {
  readonly duration: BoundHistogram;
  readonly byStatus: Map<number, BoundCounter>;
}

/** Counts requests by route and status and measures their duration. Routes are patterns, so their number is bounded. */
export class RouteMetrics {
  readonly #durations;
  readonly #requests;
  readonly #routes = new Map<string, RouteChildren>();

  constructor(metrics: Metrics) {
    this.#durations = metrics.histogram('varve_http_request_duration_seconds', 'Time to answer.', ['route']);
    this.#requests = metrics.counter('varve_http_requests_total', 'Requests answered.', ['route', 'status']);
  }

  /** Measures from now until the response is closed; 499 stands for clients that didn't wait. */
  track(route: string, response: ServerResponse): void {
    const startedMs = performance.now();
    response.once('close', () => {
      const children = this.#childrenOf(route);
      children.duration.observe((performance.now() - startedMs) / 1000);
      const status = response.writableFinished ? response.statusCode : 499;
      let counter = children.byStatus.get(status);
      if (counter === undefined) {
        counter = this.#requests.labels(route, String(status));
        children.byStatus.set(status, counter);
      }
      counter.inc();
    });
  }

  #childrenOf(route: string): RouteChildren {
    let children = this.#routes.get(route);
    if (children === undefined) {
      children = { duration: this.#durations.labels(route), byStatus: new Map() };
      this.#routes.set(route, children);
    }
    return children;
  }
}
