import {
  type BucketIndex,
  blockPrefix,
  eachOf,
  type IndexedBlock,
  indexName,
  listTenant,
  MARK_KINDS,
  type MarkKind,
  markCopyName,
  markName,
  metaName,
  readBucketIndex,
  readMark,
  type TenantListing,
} from '../../lib/bucketindex/index.js';
import { parseBlockMeta } from '../../lib/tsdb/block/index.js';
import type { Context } from './command.js';
import { type Findings, isCorruption } from './findings.js';
import { showNumber, showSpan, showTime } from './format.js';
import { ReadOnlyBucket } from './read-only-bucket.js';

/** Objects looked at at once. */
const LOOKS_MAX = 16;
/** An upload that was gone on with since then may still go on. */
const UPLOAD_MS = 3_600_000;
/** Readers refuse an older index. */
const INDEX_STALE_MS = 3_600_000;

/**
 * Checks what a tenant has beside the content of its blocks: partial blocks, marks and their copies, and the bucket
 * index against what is there.
 * @returns the listing, made without help of the index
 */
export async function verifyTenant(
  context: Context,
  tenant: string,
  findings: Findings,
): Promise<TenantListing> {
  const bucket = new ReadOnlyBucket(context.source.bucket);
  const listing = await listTenant(bucket, tenant, null, context.clock.nowMs());
  await checkPartials(context, tenant, listing, findings);
  for (const copy of [...bucket.missingCopies].sort()) {
    findings.problem(
      copy,
      'the mark in the folder of the block has no copy here, so listings do not find it',
    );
  }
  for (const { ulid, kind } of listing.orphans) {
    findings.problem(markCopyName(tenant, ulid, kind), 'mark of a block that is not there');
  }
  for (const kind of MARK_KINDS) await checkMarks(context, tenant, kind, listing, bucket, findings);
  await checkIndex(context, tenant, listing, findings);
  return listing;
}

async function checkPartials(
  { source, clock }: Context,
  tenant: string,
  { partials, marked }: TenantListing,
  findings: Findings,
): Promise<void> {
  for (const [ulid, state] of [...partials].sort()) {
    const prefix = blockPrefix(tenant, ulid);
    const name = metaName(tenant, ulid);
    if (state === 'corrupt') {
      try {
        parseBlockMeta(Buffer.from(await source.bucket.get(name)).toString('utf8'), name);
        findings.problem(name, 'could not be read a moment ago');
      } catch (error) {
        if (!isCorruption(error)) throw error;
        findings.corruption(name, error, name);
      }
      continue;
    }
    const { objects } = await source.bucket.list(prefix);
    let newestMs = 0;
    await eachOf(objects, LOOKS_MAX, async (object) => {
      newestMs = Math.max(newestMs, (await source.bucket.stat(object))?.modifiedMs ?? 0);
    });
    const what = `no meta.json, ${showNumber(objects.length, 'other object')}, the newest of ${showTime(newestMs)}`;
    if (marked.deletion.has(ulid) || objects.includes(markName(tenant, ulid, 'deletion'))) {
      findings.note(prefix, `partial block that is being deleted: ${what}`);
    } else if (clock.nowMs() - newestMs < UPLOAD_MS) {
      findings.note(prefix, `partial block, maybe an upload in progress: ${what}`);
    } else findings.problem(prefix, `partial block: ${what}`);
  }
}

/** Marks that are listed must be there, and readable. */
async function checkMarks(
  { source }: Context,
  tenant: string,
  kind: MarkKind,
  { marked, orphans }: TenantListing,
  { missingCopies }: ReadOnlyBucket,
  findings: Findings,
): Promise<void> {
  const skipped = new Set(orphans.filter((orphan) => orphan.kind === kind).map(({ ulid }) => ulid));
  for (const ulid of [...marked[kind]].sort()) {
    if (skipped.has(ulid)) continue;
    const copy = markCopyName(tenant, ulid, kind);
    try {
      if ((await readMark(source.bucket, tenant, ulid, kind)) !== null || missingCopies.has(copy)) continue;
      findings.problem(copy, `copy of a mark that is not in the folder of the block`);
    } catch (error) {
      if (!isCorruption(error)) throw error;
      const name = markName(tenant, ulid, kind);
      findings.corruption(name, error, name);
    }
  }
}

async function checkIndex(
  { source, clock }: Context,
  tenant: string,
  listing: TenantListing,
  findings: Findings,
): Promise<void> {
  const name = indexName(tenant);
  let index: BucketIndex | null;
  try {
    index = await readBucketIndex(source.bucket, tenant);
  } catch (error) {
    if (!isCorruption(error)) throw error;
    findings.corruption(name, error, name);
    return;
  }
  const present = new Map(listing.index.blocks.map((block) => [block.ulid, block]));
  if (index === null) {
    if (present.size > 0)
      findings.note(name, 'not there: queries do not see these blocks until a compactor ran');
    return;
  }
  const updatedMs = index.updatedAt * 1000;
  const ageMs = clock.nowMs() - updatedMs;
  if (ageMs > INDEX_STALE_MS) {
    findings.note(name, `updated ${showSpan(ageMs)} ago, too long for readers: is a compactor running?`);
  }
  for (const block of index.blocks) {
    const found = present.get(block.ulid);
    if (found === undefined) findings.problem(name, `lists block ${block.ulid}, which is not there`);
    else compareEntries(name, block, found, findings);
  }
  const known = new Set(index.blocks.map(({ ulid }) => ulid));
  for (const { ulid, uploadedAtMs } of present.values()) {
    if (known.has(ulid)) continue;
    if (uploadedAtMs < updatedMs) findings.problem(name, `does not list block ${ulid}, which is there`);
    else findings.note(name, `does not list block ${ulid} yet, which came after the last update`);
  }
  for (const ulid of index.deletionMarks.keys()) {
    if (listing.index.deletionMarks.has(ulid) || !present.has(ulid)) continue;
    findings.problem(name, `says that block ${ulid} is marked for deletion, which it is not`);
  }
}

const FIELDS = ['minTime', 'maxTime', 'segmentCount'] as const;

function compareEntries(name: string, listed: IndexedBlock, found: IndexedBlock, findings: Findings): void {
  for (const field of FIELDS) {
    if (field === 'segmentCount' && listed.segmentCount === 0) continue;
    if (listed[field] === found[field]) continue;
    findings.problem(name, `says ${field} ${listed[field]} of block ${listed.ulid}, found ${found[field]}`);
  }
}
