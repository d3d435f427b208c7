import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { CorruptionError, messageOf } from '../errors/index.js';
import { appliedMasks, type BlockMeta, isBlockName } from '../tsdb/block/index.js';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** Chunk segments are named `000001` and on. */
const SEGMENTS_FORMAT = '1b6d';
/** An index of a hundred thousand blocks; more is no index. */
const INDEX_BYTES_MAX = 512 * 1024 * 1024;

/** A block as the bucket index knows it. */
export interface IndexedBlock {
  readonly ulid: string;
  /** Inclusive, ms. */
  readonly minTime: number;
  /** Exclusive, ms. */
  readonly maxTime: number;
  /** When meta.json was stored, ms. */
  readonly uploadedAtMs: number;
  /** Chunk segments; 0 when it is not known: then they must be listed. */
  readonly segmentCount: number;
  /** Longest series entry and chunk in bytes; 0 when it is not known. */
  readonly seriesBytesMax: number;
  readonly chunkBytesMax: number;
  /** What only Varve keeps in the index; null in an index that another program wrote. */
  readonly facts: BlockFacts | null;
  /** Fields of the entry that other programs wrote; they are kept. */
  readonly others: Readonly<Record<string, unknown>>;
}

/** Facts of a block's meta.json that planning and the choice of blocks need. */
export interface BlockFacts {
  /** 0 for raw samples, else the width of a window, ms. */
  readonly resolution: number;
  readonly level: number;
  /** External labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** What made the block, such as `compactor`; '' when unknown. */
  readonly source: string;
  /** The first-level blocks it consists of, itself for such a one; sorted, never empty. */
  readonly sources: readonly string[];
  readonly series: number;
  readonly samples: number;
  /** Bytes of all files; 0 when unknown. */
  readonly bytes: number;
  /** Keys of deletion rules that were applied to the block; absent for none. */
  readonly applied?: readonly string[];
}

/** A block with its facts: what an up-to-date index consists of. */
export type KnownBlock = IndexedBlock & { readonly facts: BlockFacts };

/** The content of `bucket-index.json.gz`. */
export interface BucketIndex {
  /** Complete blocks, also those that are marked for deletion but still there; by begin, then name. */
  readonly blocks: readonly IndexedBlock[];
  /** Deletion times by block, in seconds. */
  readonly deletionMarks: ReadonlyMap<string, number>;
  /** Seconds. */
  readonly updatedAt: number;
}

/** The entry for a block whose meta.json was read. */
export function describeBlock(
  meta: BlockMeta,
  stored: { readonly modifiedMs: number; readonly segmentCount: number },
): KnownBlock {
  const { thanos, compaction, stats } = meta;
  const indexStats = asFields(thanos?.['index_stats']);
  const applied = appliedMasks(thanos);
  const files = Array.isArray(thanos?.['files']) ? thanos['files'] : [];
  return {
    ulid: meta.ulid,
    minTime: meta.minTime,
    maxTime: meta.maxTime,
    uploadedAtMs: stored.modifiedMs,
    segmentCount: stored.segmentCount,
    seriesBytesMax: count(indexStats['series_max_size']),
    chunkBytesMax: count(indexStats['chunk_max_size']),
    facts: {
      resolution: thanos?.downsample.resolution ?? 0,
      level: compaction.level,
      labels: thanos?.labels ?? {},
      source: thanos?.source ?? '',
      sources: compaction.sources.length === 0 ? [meta.ulid] : [...compaction.sources].sort(),
      series: stats.numSeries ?? 0,
      samples: stats.numSamples ?? 0,
      bytes: files.reduce<number>((sum, file) => sum + count(asFields(file)['size_bytes']), 0),
      ...(applied.length > 0 ? { applied } : {}),
    },
    others: {},
  };
}

/** The bytes of the index file. */
export async function encodeBucketIndex(index: BucketIndex): Promise<Uint8Array> {
  const json = {
    version: 1,
    blocks: index.blocks.map(encodeBlock),
    block_deletion_marks: [...index.deletionMarks].map(([ulid, time]) => ({
      block_id: ulid,
      deletion_time: time,
    })),
    updated_at: index.updatedAt,
  };
  return compress(Buffer.from(JSON.stringify(json)));
}

/**
 * Reads an index file, of Varve, Cortex or Mimir.
 * @throws CorruptionError `bucket-index`
 */
export async function decodeBucketIndex(bytes: Uint8Array, name: string): Promise<BucketIndex> {
  let json: Fields;
  try {
    const text = await decompress(bytes, { maxOutputLength: INDEX_BYTES_MAX });
    json = asFields(JSON.parse(text.toString('utf8')));
  } catch (cause) {
    throw badIndex(name, messageOf(cause), cause);
  }
  const updatedAt = json['updated_at'];
  if (typeof updatedAt !== 'number') throw badIndex(name, 'no updated_at');
  const blocks = listOf(json['blocks'], name).map((entry, i) => decodeBlock(asFields(entry), i, name));
  const deletionMarks = new Map<string, number>();
  for (const entry of listOf(json['block_deletion_marks'], name)) {
    const { block_id: ulid, deletion_time: time } = asFields(entry);
    if (typeof ulid !== 'string' || typeof time !== 'number') throw badIndex(name, 'a bad deletion mark');
    deletionMarks.set(ulid, time);
  }
  return { blocks: sortBlocks(blocks), deletionMarks, updatedAt };
}

/** By begin, then name. */
export function sortBlocks<Block extends IndexedBlock>(blocks: readonly Block[]): Block[] {
  return [...blocks].sort((a, b) => a.minTime - b.minTime || (a.ulid < b.ulid ? -1 : 1));
}

/** Whether an index can be planned with: not one that another program wrote. */
export function isKnown(block: IndexedBlock): block is KnownBlock {
  return block.facts !== null;
}

type Fields = Readonly<Record<string, unknown>>;

function encodeBlock(block: IndexedBlock): Fields {
  const { segmentCount, facts } = block;
  return {
    ...block.others,
    block_id: block.ulid,
    min_time: block.minTime,
    max_time: block.maxTime,
    segments_format: segmentCount > 0 ? SEGMENTS_FORMAT : '',
    segments_num: segmentCount,
    ...(block.seriesBytesMax > 0 ? { series_max_size: block.seriesBytesMax } : {}),
    ...(block.chunkBytesMax > 0 ? { chunk_max_size: block.chunkBytesMax } : {}),
    uploaded_at: Math.floor(block.uploadedAtMs / 1000),
    ...(facts === null ? {} : { varve: encodeFacts(facts, block.ulid) }),
  };
}

function encodeFacts(facts: BlockFacts, ulid: string): Fields {
  const { sources, ...rest } = facts;
  return sources.length === 1 && sources[0] === ulid ? rest : { ...rest, sources };
}

const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  'block_id',
  'min_time',
  'max_time',
  'segments_format',
  'segments_num',
  'series_max_size',
  'chunk_max_size',
  'uploaded_at',
  'varve',
]);

function decodeBlock(entry: Fields, i: number, name: string): IndexedBlock {
  const { block_id: ulid, min_time: minTime, max_time: maxTime, uploaded_at: uploadedAt } = entry;
  if (typeof ulid !== 'string' || !isBlockName(ulid)) throw badIndex(name, `block ${i} has no name`);
  if (typeof minTime !== 'number' || typeof maxTime !== 'number' || typeof uploadedAt !== 'number') {
    throw badIndex(name, `block ${ulid} has no times`);
  }
  return {
    ulid,
    minTime,
    maxTime,
    uploadedAtMs: uploadedAt * 1000,
    segmentCount: entry['segments_format'] === SEGMENTS_FORMAT ? count(entry['segments_num']) : 0,
    seriesBytesMax: count(entry['series_max_size']),
    chunkBytesMax: count(entry['chunk_max_size']),
    facts: decodeFacts(entry['varve'], ulid),
    others: Object.fromEntries(Object.entries(entry).filter(([key]) => !KNOWN_FIELDS.has(key))),
  };
}

/** Null for facts that are not there or that another version wrote: then meta.json is read again. */
function decodeFacts(json: unknown, ulid: string): BlockFacts | null {
  const fields = asFields(json);
  const { resolution, level, labels, source, sources = [ulid], series, samples, bytes, applied } = fields;
  const numbers = [resolution, level, series, samples, bytes];
  if (!numbers.every((value) => typeof value === 'number') || typeof source !== 'string') return null;
  const isStrings = (values: readonly unknown[]) => values.every((value) => typeof value === 'string');
  if (!Array.isArray(sources) || sources.length === 0 || !isStrings(sources)) return null;
  if (typeof labels !== 'object' || labels === null || !isStrings(Object.values(labels))) return null;
  return {
    resolution: resolution as number,
    level: level as number,
    labels: labels as Record<string, string>,
    source,
    sources,
    series: series as number,
    samples: samples as number,
    bytes: bytes as number,
    ...(isTexts(applied) ? { applied } : {}),
  };
}

function listOf(json: unknown, name: string): readonly unknown[] {
  if (json === null || json === undefined) return [];
  if (!Array.isArray(json)) throw badIndex(name, 'a field that is no list');
  return json;
}

function isTexts(json: unknown): json is string[] {
  return Array.isArray(json) && json.every((item) => typeof item === 'string');
}

function asFields(json: unknown): Fields {
  return typeof json === 'object' && json !== null ? (json as Fields) : {};
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

function badIndex(name: string, problem: string, cause?: unknown): CorruptionError {
  return new CorruptionError('bucket-index', `${name} is not a bucket index: ${problem}`, {
    cause,
    details: { object: name },
  });
}
