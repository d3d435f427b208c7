import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { VarveError } from '../../errors/index.js';
import { compareUtf8, type LabelSet } from '../../labels/index.js';
import { CHUNK_ENCODING } from '../../storage/index.js';
import { AGGREGATE, decodeAggregateChunk, ENCODING } from '../chunk/index.js';
import { fsyncDirectory, IndexWriter, SeriesEntry } from '../index/index.js';
import { CHUNKS_DIRECTORY } from './chunk-format.js';
import { ChunkWriter } from './chunk-writer.js';
import { type BlockMeta, type BlockParent, type ThanosMeta, writeBlockMeta } from './meta.js';
import { writeTombstones } from './tombstones.js';

/** A directory with this ending is a block that was never finished; delete it on start. */
export const CREATION_SUFFIX = '.tmp-for-creation';
export const DELETION_SUFFIX = '.tmp-for-deletion';

/** An encoded chunk on its way into a block. */
export interface BlockChunk {
  /** Times of the first and last sample, ms, exact; of an aggregate chunk those of its windows. */
  readonly minTime: number;
  readonly maxTime: number;
  /** One of CHUNK_ENCODING, or ENCODING.aggregate. */
  readonly encoding: number;
  /** Without length, encoding byte and checksum; read during the call only. */
  readonly data: Uint8Array;
}

export interface BlockWriterOptions {
  /** Time range of the block, ms, end exclusive. Without it: first sample .. last sample + 1. */
  readonly minTime?: number;
  readonly maxTime?: number;
  /** Name of the block; made from the clock otherwise. */
  readonly ulid?: string;
  /** Compaction level, 1 by default. */
  readonly level?: number;
  /** Level 1 ancestors; the block itself by default. */
  readonly sources?: readonly string[];
  readonly parents?: readonly BlockParent[];
  readonly hints?: readonly string[];
  readonly thanos?: ThanosMeta;
  /** Most bytes of a chunk segment, 512 MiB by default. */
  readonly segmentBytesMax?: number;
}

/**
 * Writes one block: all symbols in byte order, then all series in label order with their chunks in time order, then
 * `finish`. Everything goes to `<ULID>.tmp-for-creation`; the rename at the end makes it a block, so a crash leaves
 * either the whole block or a directory to delete. Synchronous, for a worker thread. Memory grows with distinct label
 * pairs (about 28 bytes each) and series (4 bytes each) only.
 *
 * After an error only `abort` may be called.
 */
export class BlockWriter {
  readonly ulid: string;
  /** Where the block will stand. */
  readonly directory: string;
  readonly #parent: string;
  readonly #temporary: string;
  readonly #options: BlockWriterOptions;
  readonly #index: IndexWriter;
  readonly #chunks: ChunkWriter;
  readonly #entry: SeriesEntry;
  readonly #symbolIds: Map<string, number>;
  #pairs: Uint32Array;
  #floatSampleCount: number;
  #histogramSampleCount: number;
  #chunkCount: number;
  #minTime: number;
  #maxTime: number;

  private constructor(parent: string, options: BlockWriterOptions) {
    this.ulid = options.ulid ?? ulid();
    this.directory = join(parent, this.ulid);
    this.#parent = parent;
    this.#temporary = this.directory + CREATION_SUFFIX;
    this.#options = options;
    mkdirSync(this.#temporary);
    this.#index = new IndexWriter(join(this.#temporary, 'index'));
    this.#chunks = new ChunkWriter(join(this.#temporary, CHUNKS_DIRECTORY), options.segmentBytesMax);
    this.#entry = new SeriesEntry();
    this.#symbolIds = new Map();
    this.#pairs = new Uint32Array(64);
    this.#floatSampleCount = 0;
    this.#histogramSampleCount = 0;
    this.#chunkCount = 0;
    this.#minTime = Number.POSITIVE_INFINITY;
    this.#maxTime = Number.NEGATIVE_INFINITY;
  }

  /** Starts a block below a directory that exists. */
  static create(parentDirectory: string, options: BlockWriterOptions = {}): BlockWriter {
    return new BlockWriter(parentDirectory, options);
  }

  /** Adds symbols in ascending byte order, each once; may be called again with higher ones. */
  addSymbols(symbols: Iterable<Uint8Array | string>): void {
    for (const symbol of symbols) this.#index.addSymbol(symbol);
  }

  /**
   * Adds the next series. `labels` holds pairs (name, value) of symbol numbers by ascending name, where a symbol's
   * number is its place among those added. Chunks must be in order and must not overlap; without any the series is
   * left out.
   * @throws VarveError internal `index-order` or `block-chunk` when order, range or encoding is wrong.
   */
  addSeries(labels: Uint32Array, chunks: readonly BlockChunk[]): void {
    if (chunks.length === 0) return;
    const entry = this.#entry;
    entry.ensureChunks(chunks.length);
    entry.chunkCount = chunks.length;
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i]!;
      this.#countSamples(chunk);
      entry.chunkMinTimes[i] = chunk.minTime;
      entry.chunkMaxTimes[i] = chunk.maxTime;
      entry.chunkRefs[i] = this.#chunks.write(chunk.encoding, chunk.data);
    }
    this.#index.addSeries(labels, labels.length >>> 1, entry);
  }

  /** The same with strings, for callers that have no symbol numbers. Labels may come in any order. */
  addLabelSet(labels: LabelSet, chunks: readonly BlockChunk[]): void {
    if (labels.length * 2 > this.#pairs.length) this.#pairs = new Uint32Array(labels.length * 4);
    let at = 0;
    for (const label of [...labels].sort((a, b) => compareUtf8(a.name, b.name))) {
      this.#pairs[at++] = this.#symbolId(label.name);
      this.#pairs[at++] = this.#symbolId(label.value);
    }
    this.addSeries(this.#pairs.subarray(0, at), chunks);
  }

  /**
   * Completes the block and makes it visible, synced to disk.
   * @returns its meta, or null when there was no sample: then nothing is left behind.
   */
  finish(): BlockMeta | null {
    const sampleCount = this.#floatSampleCount + this.#histogramSampleCount;
    if (sampleCount === 0) {
      this.abort();
      return null;
    }
    const meta = this.#meta(sampleCount);
    this.#chunks.finish();
    this.#index.finish();
    writeBlockMeta(this.#temporary, meta);
    writeTombstones(this.#temporary, new Map());
    fsyncDirectory(this.#temporary);
    renameSync(this.#temporary, this.directory);
    fsyncDirectory(this.#parent);
    return meta;
  }

  /** Gives up and removes everything written. */
  abort(): void {
    this.#chunks.abort();
    this.#index.abort();
    rmSync(this.#temporary, { recursive: true, force: true });
  }

  #meta(sampleCount: number): BlockMeta {
    const options = this.#options;
    const stats = {
      numSamples: sampleCount,
      ...(this.#floatSampleCount > 0 ? { numFloatSamples: this.#floatSampleCount } : {}),
      ...(this.#histogramSampleCount > 0 ? { numHistogramSamples: this.#histogramSampleCount } : {}),
      numSeries: this.#index.seriesCount,
      numChunks: this.#chunkCount,
    };
    const sources = options.sources ?? [this.ulid];
    return {
      ulid: this.ulid,
      minTime: options.minTime ?? this.#minTime,
      maxTime: options.maxTime ?? this.#maxTime + 1,
      stats,
      compaction: {
        level: options.level ?? 1,
        sources: [...new Set(sources)].sort(),
        ...(options.parents === undefined ? {} : { parents: options.parents }),
        ...(options.hints === undefined ? {} : { hints: [...options.hints].sort() }),
      },
      version: 1,
      ...(options.thanos === undefined ? {} : { thanos: options.thanos }),
    };
  }

  #symbolId(text: string): number {
    let id = this.#symbolIds.get(text);
    if (id === undefined) {
      id = this.#index.findSymbol(text);
      if (id < 0) throw badChunk(`${JSON.stringify(text)} was not added as a symbol`);
      if (this.#symbolIds.size >= SYMBOL_IDS_MAX) this.#symbolIds.clear();
      this.#symbolIds.set(text, id);
    }
    return id;
  }

  #countSamples(chunk: BlockChunk): void {
    const { minTime, maxTime, data } = chunk;
    const { minTime: blockMin = Number.NEGATIVE_INFINITY, maxTime: blockMax = Number.POSITIVE_INFINITY } =
      this.#options;
    if (!(minTime >= blockMin && maxTime < blockMax && minTime <= maxTime)) {
      throw badChunk(`chunk of ${minTime}..${maxTime} is outside the block's ${blockMin}..${blockMax}`);
    }
    const { encoding, sampleCount } = countedSamples(chunk.encoding, data);
    if (sampleCount === 0) throw badChunk(`chunk at ${minTime} has no samples`);
    if (encoding === CHUNK_ENCODING.xor) this.#floatSampleCount += sampleCount;
    else if (encoding === CHUNK_ENCODING.histogram || encoding === CHUNK_ENCODING.floatHistogram) {
      this.#histogramSampleCount += sampleCount;
    } else throw badChunk(`chunk at ${minTime} has encoding ${chunk.encoding}`);
    this.#chunkCount++;
    if (minTime < this.#minTime) this.#minTime = minTime;
    if (maxTime > this.#maxTime) this.#maxTime = maxTime;
  }
}

/** What a chunk counts as: an aggregate chunk as so many samples as it has windows, of the kind that its sum has. */
function countedSamples(encoding: number, data: Uint8Array): { encoding: number; sampleCount: number } {
  if (encoding !== ENCODING.aggregate) return { encoding, sampleCount: sampleCountOf(data) };
  const aggregates = decodeAggregateChunk(data);
  const count = aggregates[AGGREGATE.count];
  if (count == null) return { encoding, sampleCount: 0 };
  const kind = aggregates[AGGREGATE.sum] ?? count;
  return { encoding: kind.encoding, sampleCount: sampleCountOf(count.data) };
}

function sampleCountOf(data: Uint8Array): number {
  return data.length < 2 ? 0 : (data[0]! << 8) | data[1]!;
}

/** Strings whose symbol numbers are remembered by the string based interface. */
const SYMBOL_IDS_MAX = 100_000;

function badChunk(message: string): VarveError {
  return new VarveError('internal', 'block-chunk', `block writer: ${message}`);
}
