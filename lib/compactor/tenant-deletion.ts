import { deleteBlock } from '../blocktransfer/index.js';
import type { Bucket } from '../bucket/index.js';
import { indexName, readTenantMark, removeTenantMark, writeTenantMark } from '../bucketindex/index.js';
import type { Clock } from '../clock/index.js';
import { isBlockName } from '../tsdb/block/index.js';

/** How the deletion of a tenant stands. */
export type TenantDeletion = 'not marked' | 'blocks deleted' | 'gone';

/**
 * Deletes the blocks of a tenant that is marked, its index first, so that readers see none. When that is done for
 * `cleanupDelayMs`, everything else of it goes, and last the mark. To be called again and again until it is gone: a
 * block may still arrive.
 */
export async function deleteTenant(
  bucket: Bucket,
  tenant: string,
  clock: Clock,
  cleanupDelayMs: number,
): Promise<TenantDeletion> {
  const mark = await readTenantMark(bucket, tenant);
  if (mark === null) return 'not marked';
  await bucket.delete(indexName(tenant));
  await bucket.delete(`${tenant}/bucket-index-sync-status.json`);
  for (const prefix of (await bucket.list(`${tenant}/`, '/')).prefixes) {
    const ulid = prefix.slice(tenant.length + 1, -1);
    if (isBlockName(ulid)) await deleteBlock(bucket, tenant, ulid);
  }
  const nowSeconds = Math.floor(clock.nowMs() / 1000);
  if (mark.finishedTime === 0) {
    await writeTenantMark(bucket, tenant, { ...mark, finishedTime: nowSeconds });
    return 'blocks deleted';
  }
  if ((nowSeconds - mark.finishedTime) * 1000 < cleanupDelayMs) return 'blocks deleted';
  const { objects } = await bucket.list(`${tenant}/`);
  // The mark at its older place goes with the newer one.
  for (const name of objects.filter((one) => !one.endsWith('/tenant-deletion-mark.json'))) {
    await bucket.delete(name);
  }
  await removeTenantMark(bucket, tenant);
  return 'gone';
}
