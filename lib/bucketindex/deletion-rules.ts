import { createHash } from 'node:crypto';
import type { Bucket } from '../bucket/index.js';
import type { RetentionRule } from '../limits/index.js';
import { isBlockName, type MaskText } from '../tsdb/block/index.js';
import type { IndexedBlock } from './bucket-index.js';
import type { DeletionRequest } from './deletions.js';
import { checkedPrefix } from './object-names.js';

/** Samples that are to go from the bucket: those of a request, or those past the retention of their series. */
export interface DeletionRule {
  /** By which blocks remember that it was applied: the id of a request, or what stands for the matchers. */
  readonly key: string;
  /** Null for a retention. */
  readonly request: DeletionRequest | null;
  readonly masks: readonly MaskText[];
}

const NOTHING: readonly MaskText[] = [];
const MINUTE_MS = 60_000;

/** Before all samples. */
const BEGIN_MS = -Number.MAX_SAFE_INTEGER;
/** Keys in the name of one object, which has at most 1024 bytes. */
const KEYS_PER_NOTE = 25;

/** What requests and retention hide; changes at most once a minute unless the requests do. */
export function deletionMasks(
  requests: readonly DeletionRequest[],
  retention: readonly RetentionRule[],
  nowMs: number,
): readonly MaskText[] {
  if (requests.length === 0 && retention.length === 0) return NOTHING;
  return deletionRules(requests, retention, nowMs).flatMap(({ masks }) => masks);
}

export function deletionRules(
  requests: readonly DeletionRequest[],
  retention: readonly RetentionRule[],
  nowMs: number,
): readonly DeletionRule[] {
  const rules: DeletionRule[] = requests.map((request) => ({
    key: request.id,
    request,
    masks: masksOf(request),
  }));
  for (const { matchers, retentionMs } of retention) {
    const maxTimeMs = Math.floor((nowMs - retentionMs) / MINUTE_MS) * MINUTE_MS - 1;
    const key = createHash('sha256').update(JSON.stringify(matchers)).digest('hex').slice(0, 16);
    rules.push({ key, request: null, masks: [{ key, matchers, minTimeMs: BEGIN_MS, maxTimeMs }] });
  }
  return rules;
}

function masksOf({ id, matcherSets, minTimeMs, maxTimeMs }: DeletionRequest): MaskText[] {
  return matcherSets.map((matchers) => ({ key: id, matchers, minTimeMs, maxTimeMs }));
}

/**
 * The rules that hold for a time span, in which a block lies, now and for ever. Of retention those whose time has come
 * for all of the span: so a block is written anew once, not every day a bit.
 * @param minTime inclusive @param maxTime exclusive
 */
export function rulesOfSpan(
  rules: readonly DeletionRule[],
  minTime: number,
  maxTime: number,
): readonly DeletionRule[] {
  return rules.filter(({ request, masks }) => {
    if (request === null) return masks[0]!.maxTimeMs >= maxTime - 1;
    return request.minTimeMs < maxTime && request.maxTimeMs >= minTime;
  });
}

/** Rules that a block is known to satisfy, by block: nothing of what they delete is in it. */
export type CheckedBlocks = ReadonlyMap<string, ReadonlySet<string>>;

/** The rules that have still to be applied to a block. */
export function openRules(
  rules: readonly DeletionRule[],
  block: IndexedBlock,
  checked: CheckedBlocks,
): readonly DeletionRule[] {
  if (rules.length === 0) return rules;
  const applied = block.facts?.applied ?? [];
  const known = checked.get(block.ulid);
  return rulesOfSpan(rules, block.minTime, block.maxTime).filter(
    ({ key }) => !applied.includes(key) && known?.has(key) !== true,
  );
}

/** Notes of what blocks were found to satisfy, and the objects that say so. */
export interface CheckedNotes {
  readonly blocks: CheckedBlocks;
  /** Full names by block. */
  readonly objects: ReadonlyMap<string, readonly string[]>;
}

/** Notes that a block satisfies rules, in one object (more when there are very many rules). */
export async function noteChecked(
  bucket: Bucket,
  tenant: string,
  ulid: string,
  keys: readonly string[],
): Promise<void> {
  for (let i = 0; i < keys.length; i += KEYS_PER_NOTE) {
    const name = [ulid, ...keys.slice(i, i + KEYS_PER_NOTE)].join('.');
    await bucket.put(checkedPrefix(tenant) + name, Buffer.from('{}'));
  }
}

/** Reads all notes of a tenant: their names say everything. */
export async function listChecked(bucket: Bucket, tenant: string): Promise<CheckedNotes> {
  const prefix = checkedPrefix(tenant);
  const blocks = new Map<string, Set<string>>();
  const objects = new Map<string, string[]>();
  for (const name of (await bucket.list(prefix)).objects) {
    const [ulid = '', ...keys] = name.slice(prefix.length).split('.');
    if (!isBlockName(ulid)) continue;
    const known = blocks.get(ulid) ?? new Set();
    for (const key of keys) known.add(key);
    blocks.set(ulid, known);
    objects.set(ulid, [...(objects.get(ulid) ?? []), name]);
  }
  return { blocks, objects };
}

/** How far a rule is: blocks that it concerns, and how many of them may still hold what it deletes. */
export function ruleProgress(
  rule: DeletionRule,
  blocks: readonly IndexedBlock[],
  checked: CheckedBlocks,
): { readonly blocksTotal: number; readonly blocksLeft: number } {
  const concerned = blocks.filter(({ minTime, maxTime }) => rulesOfSpan([rule], minTime, maxTime).length > 0);
  const left = concerned.filter((block) => openRules([rule], block, checked).length > 0);
  return { blocksTotal: concerned.length, blocksLeft: left.length };
}
