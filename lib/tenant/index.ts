export type { TenantOptions } from './tenant.js';
export { DEFAULT_TENANT, isValidTenant, TENANT_HEADER, tenantOfHeader } from './tenant.js';
