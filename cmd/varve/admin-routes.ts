import { stringify } from 'yaml';
import { type Config, renderConfig } from '../../lib/config/index.js';
import { VarveError } from '../../lib/errors/index.js';
import { type Exchange, HTML_TYPE, type HttpServer, JSON_TYPE, TEXT_TYPE } from '../../lib/http/index.js';
import { limitsSchema, type TenantLimits } from '../../lib/limits/index.js';
import type { GroupState } from '../../lib/service/index.js';
import { printSettings } from '../../lib/settings/index.js';
import type { Metrics } from '../../lib/telemetry/index.js';
import { isValidTenant } from '../../lib/tenant/index.js';
import type { Storage } from './storage.js';
import { VERSION } from './version.js';

export interface AdminParts {
  readonly server: HttpServer;
  readonly config: Config;
  readonly limits: TenantLimits;
  readonly metrics: Metrics;
  readonly storage: Storage;
  readonly state: () => GroupState;
}

const LINKS: readonly (readonly [path: string, text: string])[] = [
  ['/ready', 'Readiness'],
  ['/metrics', 'Metrics of this process'],
  ['/config', 'Effective configuration'],
  ['/runtime_config', 'Limits per tenant from the runtime file'],
  ['/version', 'Version'],
  ['/compactor/jobs', 'Jobs of the compactor'],
  ['/compactor/tenants', 'Tenants and their blocks in the bucket'],
  ['/ring', 'Members of the cluster'],
  ['/prometheus/api/v1/labels', 'Label names'],
  ['/prometheus/api/v1/status/buildinfo', 'Build information as Grafana sees it'],
  ['/prometheus/api/v1/status/tsdb', 'Head statistics'],
];

/** Mounts what operators and orchestrators ask for: health, metrics, configuration, the index page, flush. */
export function mountAdmin(parts: AdminParts): void {
  const { server, config, limits, metrics, storage, state } = parts;
  const ready = (exchange: Exchange) => {
    if (state() === 'running') exchange.send(200, TEXT_TYPE, 'ready\n');
    else exchange.sendText(503, `not ready: ${state()}`);
  };
  const healthy = (exchange: Exchange) => exchange.send(200, TEXT_TYPE, 'Varve is healthy.\n');
  for (const prefix of ['', '/prometheus', '/api/prom']) {
    server.route(['GET', 'HEAD'], `${prefix}/-/ready`, ready, 'always');
    server.route(['GET', 'HEAD'], `${prefix}/-/healthy`, healthy, 'always');
  }
  server.route(['GET', 'HEAD'], '/ready', ready, 'always');
  server.route(
    ['GET'],
    '/metrics',
    async (exchange) => exchange.sendCompressed(200, metrics.contentType, await metrics.render()),
    'always',
  );
  server.route(
    ['GET'],
    '/config',
    (exchange) => exchange.send(200, TEXT_TYPE, renderConfig(config)),
    'always',
  );
  server.route(
    ['GET'],
    '/runtime_config',
    (exchange) => {
      const overrides: Record<string, unknown> = {};
      for (const [tenant, own] of limits.overrides) overrides[tenant] = printSettings(limitsSchema, own);
      exchange.send(200, TEXT_TYPE, stringify({ overrides }));
    },
    'always',
  );
  server.route(
    ['GET'],
    '/version',
    (exchange) => exchange.send(200, JSON_TYPE, JSON.stringify({ version: VERSION, node: process.version })),
    'always',
  );
  server.route(['GET', 'HEAD'], '/', (exchange) => exchange.send(200, HTML_TYPE, indexPage()), 'always');
  server.route(['GET', 'POST'], '/ingester/flush', (exchange) => flush(exchange, storage));
}

async function flush(exchange: Exchange, storage: Storage): Promise<void> {
  if (storage.flush === null) {
    exchange.sendText(501, 'this process has no ingester');
    return;
  }
  const tenant = new URLSearchParams(exchange.search).get('tenant') ?? '';
  if (tenant !== '' && !isValidTenant(tenant)) {
    throw new VarveError('client', 'tenant-invalid', `tenant id ${JSON.stringify(tenant)} is not valid`);
  }
  // Waits for the result, so that the status tells whether the blocks exist.
  await storage.flush(tenant);
  exchange.sendEmpty(204);
}

function indexPage(): string {
  const items = LINKS.map(([path, text]) => `<li><a href="${path}">${path}</a> ${text}</li>`).join('\n');
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Varve</title></head>
<body>
<h1>Varve ${VERSION}</h1>
<p>Send remote write to <code>/api/v1/push</code>; the Prometheus data source URL for Grafana ends in
<code>/prometheus</code>.</p>
<ul>
${items}
</ul>
</body>
</html>
`;
}
