import { VarveError } from '../errors/index.js';
import { type Exchange, HTML_TYPE, type HttpServer, JSON_TYPE } from '../http/index.js';
import { TENANT_HEADER, type TenantOptions, tenantOfHeader } from '../tenant/index.js';
import type { Compactor, TenantView } from './compactor.js';
import type { JobView } from './job-board.js';

/**
 * The compactor's pages: `/compactor/jobs` and `/compactor/tenants`, JSON or, for browsers, HTML, and the deletion of
 * tenants under the paths of Mimir and of Cortex.
 */
export function mountCompactor(server: HttpServer, compactor: Compactor, tenantOptions: TenantOptions): void {
  const tenantOf = ({ request }: Exchange): string =>
    tenantOfHeader(request.headers[TENANT_HEADER.toLowerCase()], tenantOptions);
  server.route(['GET', 'HEAD'], '/compactor/jobs', (exchange) => {
    const jobs = compactor.jobs();
    const etaSeconds = compactor.etaSeconds();
    answer(exchange, { etaSeconds, jobs }, () => jobsPage(jobs, etaSeconds));
  });
  server.route(['GET', 'HEAD'], '/compactor/tenants', (exchange) => {
    const tenants = compactor.tenants();
    answer(exchange, { tenants }, () => tenantsPage(tenants));
  });
  const deleteTenant = async (exchange: Exchange): Promise<void> => {
    const tenant = tenantOf(exchange);
    if (new URLSearchParams(exchange.search).get('confirm') !== tenant) {
      throw new VarveError(
        'client',
        'delete-unconfirmed',
        `this deletes all data of tenant ${tenant}: repeat it with ?confirm=${encodeURIComponent(tenant)}`,
      );
    }
    await compactor.markTenant(tenant);
    exchange.sendEmpty(200);
  };
  const deletionStatus = async (exchange: Exchange): Promise<void> => {
    const tenant = tenantOf(exchange);
    const { isMarked, blocksDeleted } = await compactor.tenantDeletion(tenant);
    const body = { tenant_id: tenant, blocks_deleted: blocksDeleted, marked: isMarked };
    exchange.send(200, JSON_TYPE, JSON.stringify(body));
  };
  for (const prefix of ['/compactor', '/purger']) {
    server.route(['POST'], `${prefix}/delete_tenant`, deleteTenant);
    server.route(['GET'], `${prefix}/delete_tenant_status`, deletionStatus);
  }
}

function answer(exchange: Exchange, body: unknown, page: () => string): void {
  const accepted = exchange.request.headers.accept ?? '';
  if (accepted.includes('text/html')) exchange.send(200, HTML_TYPE, page());
  else exchange.send(200, JSON_TYPE, JSON.stringify(body));
}

function jobsPage(jobs: readonly JobView[], etaSeconds: number | null): string {
  const rows = jobs.map((job) => [
    job.tenant,
    job.kind,
    job.resolution,
    `${time(job.rangeStart)} – ${time(job.rangeEnd)}`,
    String(job.blocks.length),
    job.samples.toLocaleString('en'),
    job.state === 'running' ? `${job.phase} ${Math.round(job.progress * 100)} %` : job.state,
    job.etaSeconds === null ? '' : span(job.etaSeconds),
    job.error === '' ? job.result : job.error,
  ]);
  const eta = etaSeconds === null ? 'not known yet' : etaSeconds === 0 ? 'nothing to do' : span(etaSeconds);
  return page(
    'Compactor jobs',
    `<p>Time until all planned jobs are done: ${eta}. Jobs follow from other jobs, so more may come.</p>`,
    ['tenant', 'kind', 'result', 'range', 'blocks', 'samples', 'state', 'time left', 'block or error'],
    rows,
  );
}

function tenantsPage(tenants: readonly TenantView[]): string {
  const counts = (values: Readonly<Record<string, number>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name}: ${value.toLocaleString('en')}`)
      .join(', ');
  return page(
    'Tenants in the bucket',
    '',
    ['tenant', 'blocks', 'samples', 'to be deleted', 'not compacted', 'partial', 'index of'],
    tenants.map((view) => [
      view.tenant,
      counts(view.blocks),
      counts(view.samples),
      String(view.markedForDeletion),
      view.noCompact.join(' '),
      view.partials.join(' '),
      time(view.indexUpdatedAt),
    ]),
  );
}

function page(
  title: string,
  intro: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cells = (row: readonly string[], tag: 'td' | 'th') =>
    `<tr>${row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title} – Varve</title>
<style>body{font-family:sans-serif}table{border-collapse:collapse}td,th{padding:2px 8px;border:1px solid #ccc;text-align:left}</style>
</head>
<body>
<h1>${title}</h1>
${intro}
<table>
${cells(head, 'th')}
${rows.map((row) => cells(row, 'td')).join('\n')}
</table>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

function span(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
