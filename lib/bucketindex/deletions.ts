import { type Bucket, isObjectNotFound } from '../bucket/index.js';
import { CorruptionError, messageOf, VarveError } from '../errors/index.js';
import { type MatcherText, textOfMatcher } from '../matcher/index.js';
import { parseMetricSelector } from '../promql/parse/index.js';
import { isBlockName } from '../tsdb/block/index.js';
import {
  deletionClaimName,
  deletionName,
  deletionsPrefix,
  endedDeletionName,
  endedDeletionsPrefix,
} from './object-names.js';
import { eachOf } from './update-index.js';

/** What somebody asked to be deleted. Times in ms, ends inclusive. */
export interface DeletionRequest {
  /** A ULID, of the time it was asked. */
  readonly id: string;
  /** Texts of selectors: series that any of them selects. */
  readonly selectors: readonly string[];
  /** The same, parsed. */
  readonly matcherSets: readonly (readonly MatcherText[])[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly createdMs: number;
}

export type DeletionEnd = 'done' | 'cancelled';

/** A deletion that is over: nothing is hidden by it any more. */
export interface EndedDeletion {
  readonly request: DeletionRequest;
  readonly state: DeletionEnd;
  readonly endedMs: number;
}

/** Requests of a tenant that are not over; more are refused. */
export const DELETIONS_MAX = 100;
/** Longest text of all selectors of one. */
export const SELECTOR_BYTES_MAX = 64 * 1024;
const READS_MAX = 8;
const BEGUN = 'begun';
const CANCELLED = 'cancelled';

/**
 * A request of texts.
 * @throws VarveError client `promql-parse` of the first selector that is none, or `deletion-empty-selector`
 */
export function makeDeletion(
  id: string,
  selectors: readonly string[],
  times: { readonly minTimeMs: number; readonly maxTimeMs: number; readonly createdMs: number },
): DeletionRequest {
  const matcherSets = selectors.map((text) => {
    const matchers = parseMetricSelector(text);
    if (matchers.every((matcher) => matcher.matchesEmpty)) {
      throw new VarveError(
        'client',
        'deletion-empty-selector',
        'match[] must contain at least one non-empty matcher',
      );
    }
    return matchers.map(textOfMatcher);
  });
  return { id, selectors, matcherSets, ...times };
}

/** The bytes of a request's object; `end` for one that is over. */
export function encodeDeletion(
  request: DeletionRequest,
  end?: { readonly state: DeletionEnd; readonly endedMs: number },
): Uint8Array {
  const { id, selectors, minTimeMs, maxTimeMs, createdMs } = request;
  const json = {
    version: 1,
    id,
    matchers: selectors,
    min_time: minTimeMs,
    max_time: maxTimeMs,
    created: createdMs,
    state: end?.state ?? 'live',
    ...(end === undefined ? {} : { ended: end.endedMs }),
  };
  return Buffer.from(JSON.stringify(json));
}

const FIELDS: ReadonlySet<string> = new Set([
  'version',
  'id',
  'matchers',
  'min_time',
  'max_time',
  'created',
  'state',
  'ended',
]);

/** Reads a request's object. @throws CorruptionError `deletion-request` that says what is wrong with it */
export function decodeDeletion(bytes: Uint8Array, name: string): DeletionRequest | EndedDeletion {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw bad(name, 'is not JSON', cause);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw bad(name, 'is not an object');
  const fields = json as Readonly<Record<string, unknown>>;
  for (const field of Object.keys(fields)) if (!FIELDS.has(field)) throw bad(name, `has a field ${field}`);
  if (fields['version'] !== 1) throw bad(name, `has version ${String(fields['version'])}, not 1`);
  const id = fields['id'];
  if (typeof id !== 'string' || !isBlockName(id)) throw bad(name, 'has no ULID as id');
  if (!name.endsWith(`/${id}.json`)) throw bad(name, `is about ${id}`);
  const matchers = fields['matchers'];
  if (!Array.isArray(matchers) || matchers.length === 0) throw bad(name, 'has no matchers');
  if (!matchers.every((text) => typeof text === 'string')) throw bad(name, 'has matchers that are no texts');
  const time = (field: string): number => {
    const value = fields[field];
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw bad(name, `has no time ${field}`);
    return value;
  };
  const minTimeMs = time('min_time');
  const maxTimeMs = time('max_time');
  if (minTimeMs > maxTimeMs) throw bad(name, 'ends before it begins');
  let request: DeletionRequest;
  try {
    request = makeDeletion(id, matchers, { minTimeMs, maxTimeMs, createdMs: time('created') });
  } catch (cause) {
    if (cause instanceof CorruptionError) throw cause;
    throw bad(name, `has a bad matcher: ${messageOf(cause)}`, cause);
  }
  const state = fields['state'];
  if (state === 'live') return request;
  if (state !== 'done' && state !== 'cancelled') throw bad(name, `has the state ${String(state)}`);
  return { request, state, endedMs: time('ended') };
}

/** What is to be deleted of a tenant, oldest first. */
export interface LiveDeletions {
  readonly requests: readonly DeletionRequest[];
  /** Of those, what was begun or cancelled: their claims are there. */
  readonly claimed: ReadonlySet<string>;
}

/**
 * Reads the requests that are not over. An object never changes, so what was read before need not be read again.
 * @param known requests read before, by id
 * @throws CorruptionError `deletion-request`
 */
export async function listDeletions(
  bucket: Bucket,
  tenant: string,
  known: ReadonlyMap<string, DeletionRequest> = new Map(),
): Promise<LiveDeletions> {
  const prefix = deletionsPrefix(tenant);
  const { objects } = await bucket.list(prefix, '/');
  const requests: DeletionRequest[] = [];
  const claimed = new Set<string>();
  await eachOf(objects, READS_MAX, async (name) => {
    const [id, kind] = splitName(name.slice(prefix.length));
    if (kind === 'claim') claimed.add(id);
    if (kind !== 'json') return;
    const request = known.get(id) ?? (await readLive(bucket, name));
    if (request !== null) requests.push(request);
  });
  requests.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { requests, claimed };
}

/** Deletions that are over, oldest first; those that can't be read are left out. */
export async function listEndedDeletions(bucket: Bucket, tenant: string): Promise<EndedDeletion[]> {
  const { objects } = await bucket.list(endedDeletionsPrefix(tenant), '/');
  const ended: EndedDeletion[] = [];
  await eachOf(objects, READS_MAX, async (name) => {
    try {
      const found = decodeDeletion(await bucket.get(name), name);
      if ('request' in found) ended.push(found);
    } catch (error) {
      if (!isObjectNotFound(error) && !(error instanceof CorruptionError)) throw error;
    }
  });
  return ended.sort((a, b) => (a.request.id < b.request.id ? -1 : 1));
}

/** Stores a request; from then on it counts. */
export async function createDeletion(
  bucket: Bucket,
  tenant: string,
  request: DeletionRequest,
): Promise<void> {
  await bucket.put(deletionName(tenant, request.id), encodeDeletion(request));
}

/** Notes that blocks are about to be written without what a request deletes; false when it was cancelled or is over. */
export async function beginDeletion(bucket: Bucket, tenant: string, id: string): Promise<boolean> {
  if ((await claim(bucket, tenant, id, BEGUN)) !== BEGUN) return false;
  if ((await bucket.stat(deletionName(tenant, id))) !== null) return true;
  // It ended, and its claim with it, before this one was made.
  await bucket.delete(deletionClaimName(tenant, id));
  return false;
}

/** Takes a request back as long as nothing was deleted by it. */
export async function cancelDeletion(
  bucket: Bucket,
  tenant: string,
  id: string,
  nowMs: number,
): Promise<'cancelled' | 'begun' | 'unknown'> {
  if (!isBlockName(id)) return 'unknown';
  const request = await readLive(bucket, deletionName(tenant, id));
  if (request === null) return 'unknown';
  if ((await claim(bucket, tenant, id, CANCELLED)) !== CANCELLED) return 'begun';
  await endDeletion(bucket, tenant, request, CANCELLED, nowMs);
  return CANCELLED;
}

/** Puts a request among those that are over. May be repeated. */
export async function endDeletion(
  bucket: Bucket,
  tenant: string,
  request: DeletionRequest,
  state: DeletionEnd,
  nowMs: number,
): Promise<void> {
  await bucket.put(endedDeletionName(tenant, request.id), encodeDeletion(request, { state, endedMs: nowMs }));
  await bucket.delete(deletionName(tenant, request.id));
  // Last: without it the request could be claimed anew.
  await bucket.delete(deletionClaimName(tenant, request.id));
}

/** The first claim of a request stands. */
async function claim(bucket: Bucket, tenant: string, id: string, wanted: string): Promise<string> {
  const name = deletionClaimName(tenant, id);
  if (await bucket.putIfAbsent(name, Buffer.from(wanted))) return wanted;
  try {
    return Buffer.from(await bucket.get(name)).toString('utf8');
  } catch (error) {
    // It ended meanwhile.
    if (isObjectNotFound(error)) return '';
    throw error;
  }
}

async function readLive(bucket: Bucket, name: string): Promise<DeletionRequest | null> {
  let bytes: Uint8Array;
  try {
    bytes = await bucket.get(name);
  } catch (error) {
    if (isObjectNotFound(error)) return null;
    throw error;
  }
  const found = decodeDeletion(bytes, name);
  return 'request' in found ? null : found;
}

function splitName(name: string): readonly [id: string, kind: string] {
  const [id = '', kind = ''] = name.split('.');
  return isBlockName(id) ? [id, kind] : ['', ''];
}

function bad(name: string, problem: string, cause?: unknown): CorruptionError {
  return new CorruptionError('deletion-request', `${name} ${problem}`, { cause, details: { object: name } });
}
