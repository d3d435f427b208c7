import { type Bucket, isObjectNotFound } from '../bucket/index.js';
import { CorruptionError } from '../errors/index.js';
import { type MarkKind, markCopyName, markName, oldTenantMarkName, tenantMarkName } from './object-names.js';

/** What a mark says. */
export interface BlockMark {
  readonly ulid: string;
  /** Seconds since the epoch, as marks count. */
  readonly timeSeconds: number;
  readonly details: string;
  /** Why the block is left alone; '' for deletion marks. */
  readonly reason: string;
}

/** A tenant that is to be deleted. Times in seconds; 0 while its blocks are not gone yet. */
export interface TenantMark {
  readonly deletionTime: number;
  readonly finishedTime: number;
}

const TIME_FIELD: Readonly<Record<MarkKind, string>> = {
  deletion: 'deletion_time',
  'no-compact': 'no_compact_time',
  'no-downsample': 'no_downsample_time',
};

/**
 * Marks a block: first the copy below `markers/`, then the mark itself. One that exists stands, so the first deletion
 * time counts.
 * @returns whether the block had no such mark before
 */
export async function writeMark(
  bucket: Bucket,
  tenant: string,
  kind: MarkKind,
  mark: BlockMark,
): Promise<boolean> {
  const own = markName(tenant, mark.ulid, kind);
  if ((await bucket.stat(own)) !== null) return false;
  const bytes = Buffer.from(
    JSON.stringify({
      id: mark.ulid,
      version: 1,
      ...(mark.details === '' ? {} : { details: mark.details }),
      [TIME_FIELD[kind]]: mark.timeSeconds,
      ...(kind === 'deletion' ? {} : { reason: mark.reason }),
    }),
  );
  await bucket.put(markCopyName(tenant, mark.ulid, kind), bytes);
  await bucket.put(own, bytes);
  return true;
}

/** Reads a block's own mark; null when there is none. @throws CorruptionError `block-mark` */
export async function readMark(
  bucket: Bucket,
  tenant: string,
  ulid: string,
  kind: MarkKind,
): Promise<BlockMark | null> {
  const name = markName(tenant, ulid, kind);
  const json = await readJson(bucket, name);
  if (json === null) return null;
  const { details, reason } = json;
  return {
    ulid,
    timeSeconds: seconds(json, TIME_FIELD[kind], name),
    details: typeof details === 'string' ? details : '',
    reason: typeof reason === 'string' ? reason : '',
  };
}

/** Takes a mark off a block: its own, then the copy. */
export async function removeMark(
  bucket: Bucket,
  tenant: string,
  ulid: string,
  kind: MarkKind,
): Promise<void> {
  await bucket.delete(markName(tenant, ulid, kind));
  await bucket.delete(markCopyName(tenant, ulid, kind));
}

/** Reads the mark of a tenant, from either place; null when it is not to be deleted. */
export async function readTenantMark(bucket: Bucket, tenant: string): Promise<TenantMark | null> {
  for (const name of [tenantMarkName(tenant), oldTenantMarkName(tenant)]) {
    const json = await readJson(bucket, name);
    if (json === null) continue;
    return {
      deletionTime: seconds(json, 'deletion_time', name),
      finishedTime: json['finished_time'] === undefined ? 0 : seconds(json, 'finished_time', name),
    };
  }
  return null;
}

export async function writeTenantMark(bucket: Bucket, tenant: string, mark: TenantMark): Promise<void> {
  const { deletionTime, finishedTime } = mark;
  const json = {
    deletion_time: deletionTime,
    ...(finishedTime === 0 ? {} : { finished_time: finishedTime }),
  };
  await bucket.put(tenantMarkName(tenant), Buffer.from(JSON.stringify(json)));
}

export async function removeTenantMark(bucket: Bucket, tenant: string): Promise<void> {
  await bucket.delete(oldTenantMarkName(tenant));
  await bucket.delete(tenantMarkName(tenant));
}

async function readJson(bucket: Bucket, name: string): Promise<Readonly<Record<string, unknown>> | null> {
  let bytes: Uint8Array;
  try {
    bytes = await bucket.get(name);
  } catch (error) {
    if (isObjectNotFound(error)) return null;
    throw error;
  }
  try {
    const json: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>;
  } catch (cause) {
    throw badMark(name, 'is not JSON', cause);
  }
  throw badMark(name, 'is not a JSON object');
}

function seconds(json: Readonly<Record<string, unknown>>, field: string, name: string): number {
  const value = json[field];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw badMark(name, `has no time ${field}`);
}

function badMark(name: string, problem: string, cause?: unknown): CorruptionError {
  return new CorruptionError('block-mark', `${name} ${problem}`, { cause, details: { object: name } });
}
