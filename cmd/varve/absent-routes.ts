import { type HttpServer, type Method, PUSH_PATHS } from '../../lib/http/index.js';
import type { Storage } from './storage.js';

const METHODS: readonly Method[] = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'];

const QUERY_PATHS = ['/api/v1/*path', '/prometheus/*path', '/api/prom/*path', '/federate'] as const;

/**
 * Answers for the roles that this process does not run, so that who asks the wrong process is told. 501 rather than 404:
 * senders repeat a write that got 501, and drop one that got 404. Mounted after all other routes.
 */
export function mountAbsent(server: HttpServer, { push, sources }: Pick<Storage, 'push' | 'sources'>): void {
  const mount = (paths: readonly string[], text: string): void => {
    for (const path of paths)
      server.route(METHODS, path, (exchange) => exchange.sendText(501, text), 'always');
  };
  if (push === null) {
    mount(PUSH_PATHS, 'this process takes no samples: send them to one with --target=all');
  }
  if (sources === null) {
    mount(QUERY_PATHS, 'this process answers no queries: ask one with --target=all');
  }
}
