import type { Bucket } from '../bucket/index.js';
import { isValidTenant } from '../tenant/index.js';
import { isBlockName } from '../tsdb/block/index.js';
import { TENANT_MARKERS } from './object-names.js';

/** The tenants of a bucket. */
export interface TenantNames {
  /** All that have anything in the bucket or are being deleted, sorted. */
  readonly tenants: readonly string[];
  /** Those with a deletion mark at its present place. */
  readonly marked: ReadonlySet<string>;
}

export async function listTenants(bucket: Bucket): Promise<TenantNames> {
  const names = async (prefix: string): Promise<string[]> =>
    (await bucket.list(prefix, '/')).prefixes
      .map((found) => found.slice(prefix.length, -1))
      // Blocks at the root are those of a flat layout.
      .filter((name) => isValidTenant(name) && !isBlockName(name));
  const marked = new Set(await names(TENANT_MARKERS));
  const tenants = new Set([...(await names('')), ...marked]);
  return { tenants: [...tenants].sort(), marked };
}
