import { VarveError } from '../errors/index.js';

/** The request header that names the tenant. */
export const TENANT_HEADER = 'X-Scope-OrgID';

/** The tenant of everything while multi-tenancy is off. */
export const DEFAULT_TENANT = 'anonymous';

/** Tenant ids become folder names and object keys, so these can never be one. */
const RESERVED = new Set([
  '.',
  '..',
  '__markers__',
  '__varve_cluster',
  '__mimir_cluster',
  'user-index.json.gz',
]);
const TENANT_BYTES_MAX = 150;
const TENANT = /^[A-Za-z0-9!\-_.*'()]+$/;

export interface TenantOptions {
  readonly multitenancy: boolean;
  readonly defaultTenant: string;
}

/** Whether a text may be a tenant id: 1 to 150 of `A-Za-z0-9!-_.*'()`, and no reserved name. */
export function isValidTenant(id: string): boolean {
  return id.length <= TENANT_BYTES_MAX && TENANT.test(id) && !RESERVED.has(id);
}

/**
 * The tenant of a request.
 * @param header as node joins it: one sent twice arrives as `a, b`, which is no tenant
 * @throws VarveError client `tenant-missing` (answer 401) or `tenant-invalid` (answer 400)
 */
export function tenantOfHeader(
  header: string | readonly string[] | undefined,
  options: TenantOptions,
): string {
  if (!options.multitenancy) return options.defaultTenant;
  if (header === undefined || header === '') throw new VarveError('client', 'tenant-missing', 'no org id');
  const id = String(header);
  if (isValidTenant(id)) return id;
  if (id.length > TENANT_BYTES_MAX) {
    throw new VarveError(
      'client',
      'tenant-invalid',
      `tenant id is too long: max ${TENANT_BYTES_MAX} characters`,
    );
  }
  const problem = RESERVED.has(id)
    ? 'is reserved'
    : id.includes('|')
      ? 'names several tenants, which is not possible here'
      : "may only contain letters, digits and !-_.*'()";
  throw new VarveError('client', 'tenant-invalid', `tenant id ${JSON.stringify(id)} ${problem}`);
}
