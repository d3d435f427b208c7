import { isBlockName } from '../tsdb/block/index.js';

/**
 * Where things stand in a bucket (the layout of Cortex and Mimir):
 *
 *     <tenant>/<ULID>/{meta.json,index,chunks/000001…}   a block; without meta.json it is partial
 *     <tenant>/<ULID>/<mark>.json                        deletion-mark, no-compact-mark, no-downsample-mark
 *     <tenant>/markers/<ULID>-<mark>.json                copies of the marks, so that one listing finds them all
 *     <tenant>/bucket-index.json.gz                      what blocks there are
 *     <tenant>/leases/<job>/<generation>                 Varve: who works on what
 *     <tenant>/deletions/<ULID>.json                     Varve: a deletion of samples that is not over
 *     <tenant>/deletions/<ULID>.claim                    Varve: it was begun, or cancelled, whichever came first
 *     <tenant>/deletions/ended/<ULID>.json               Varve: a deletion that is over, kept for some days
 *     <tenant>/deletions/checked/<ULID>.<rule>.<rule>…   Varve: a block that holds nothing of what these rules delete
 *     __markers__/<tenant>/tenant-deletion-mark.json     the tenant is to be deleted
 *     __varve_cluster/…                                  Varve: which processes are alive (lib/membership)
 */
export const TENANT_MARKERS = '__markers__/';
export const MARK_KINDS = ['deletion', 'no-compact', 'no-downsample'] as const;
export type MarkKind = (typeof MARK_KINDS)[number];

export function indexName(tenant: string): string {
  return `${tenant}/bucket-index.json.gz`;
}

/** Beginning of the names of a block's objects. */
export function blockPrefix(tenant: string, ulid: string): string {
  return `${tenant}/${ulid}/`;
}

export function metaName(tenant: string, ulid: string): string {
  return `${tenant}/${ulid}/meta.json`;
}

export function markersPrefix(tenant: string): string {
  return `${tenant}/markers/`;
}

/** The mark in the block's own folder, whose content counts. */
export function markName(tenant: string, ulid: string, kind: MarkKind): string {
  return `${tenant}/${ulid}/${kind}-mark.json`;
}

/** The copy of a mark that is found by listing. */
export function markCopyName(tenant: string, ulid: string, kind: MarkKind): string {
  return `${tenant}/markers/${ulid}-${kind}-mark.json`;
}

/** Block and kind of a mark's copy; null for other objects. */
export function parseMarkCopyName(name: string): { readonly ulid: string; readonly kind: MarkKind } | null {
  const found = /\/markers\/([^/]+)-(deletion|no-compact|no-downsample)-mark\.json$/.exec(name);
  if (found === null || !isBlockName(found[1]!)) return null;
  return { ulid: found[1]!, kind: found[2] as MarkKind };
}

export function deletionsPrefix(tenant: string): string {
  return `${tenant}/deletions/`;
}

export function deletionName(tenant: string, id: string): string {
  return `${tenant}/deletions/${id}.json`;
}

export function deletionClaimName(tenant: string, id: string): string {
  return `${tenant}/deletions/${id}.claim`;
}

export function endedDeletionsPrefix(tenant: string): string {
  return `${tenant}/deletions/ended/`;
}

export function endedDeletionName(tenant: string, id: string): string {
  return `${tenant}/deletions/ended/${id}.json`;
}

export function checkedPrefix(tenant: string): string {
  return `${tenant}/deletions/checked/`;
}

/** The name of the block a prefix (`<tenant>/<ULID>/`) stands for; null for other folders. */
export function blockOfPrefix(prefix: string): string | null {
  const name = prefix.slice(prefix.lastIndexOf('/', prefix.length - 2) + 1, -1);
  return isBlockName(name) ? name : null;
}

export function tenantMarkName(tenant: string): string {
  return `${TENANT_MARKERS}${tenant}/tenant-deletion-mark.json`;
}

/** Where older programs put the mark of a tenant; still read. */
export function oldTenantMarkName(tenant: string): string {
  return `${tenant}/markers/tenant-deletion-mark.json`;
}
