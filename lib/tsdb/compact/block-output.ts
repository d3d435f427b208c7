import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BlockMeta,
  CHUNKS_DIRECTORY,
  ChunkWriter,
  CREATION_SUFFIX,
  writeBlockMeta,
  writeTombstones,
} from '../block/index.js';
import { ENCODING } from '../chunk/index.js';
import { fsyncDirectory, IndexWriter, SeriesEntry } from '../index/index.js';
import type { ChunkStream } from './chunk-stream.js';

const SERIES_ALIGNMENT = 16;

/** What the block is found to hold, for meta.json. */
export interface OutputStats {
  readonly sampleCount: number;
  readonly floatSampleCount: number;
  readonly histogramSampleCount: number;
  readonly seriesCount: number;
  readonly chunkCount: number;
  /** Longest entry of a series and longest chunk, in bytes as they lie in the files. */
  readonly seriesBytesMax: number;
  readonly chunkBytesMax: number;
}

/**
 * The block that a compaction writes: symbols through `index`, then per series its chunks and `endSeries`, then
 * `finish`. Chunks may be copied whole from other blocks. Stands in `<ULID>.tmp-for-creation` until the rename at the end.
 */
export class BlockOutput {
  readonly directory: string;
  readonly index: IndexWriter;
  readonly #parent: string;
  readonly #temporary: string;
  readonly #chunks: ChunkWriter;
  /** Chunks of the series that is being written. */
  readonly #entry: SeriesEntry;
  #samples: number;
  #floatSamples: number;
  #histogramSamples: number;
  #chunkCount: number;
  #lastRef: number;
  #seriesBytesMax: number;
  #chunkBytesMax: number;
  #indexBytes: number;

  constructor(parent: string, ulid: string, segmentBytesMax: number | undefined) {
    this.directory = join(parent, ulid);
    this.#parent = parent;
    this.#temporary = this.directory + CREATION_SUFFIX;
    mkdirSync(this.#temporary);
    this.index = new IndexWriter(join(this.#temporary, 'index'));
    this.#chunks = new ChunkWriter(join(this.#temporary, CHUNKS_DIRECTORY), segmentBytesMax);
    this.#entry = new SeriesEntry();
    this.#entry.chunkCount = 0;
    this.#samples = 0;
    this.#floatSamples = 0;
    this.#histogramSamples = 0;
    this.#chunkCount = 0;
    this.#lastRef = 0;
    this.#seriesBytesMax = 0;
    this.#chunkBytesMax = 0;
    this.#indexBytes = 0;
  }

  /** Bytes of chunks and index; before `finish` of the series only. */
  get byteCount(): number {
    return this.#indexBytes + this.#chunks.byteCount;
  }

  /** Copies the chunk that was read last, byte for byte. */
  copyChunk(source: ChunkStream, minTime: number, maxTime: number): void {
    const ref = this.#chunks.writeFrame(source.frame(), source.dataEnd - source.dataStart);
    this.#add(source.encoding, source.sampleCount, ref, minTime, maxTime);
    this.#noteSize(source.frameEnd - source.frameStart);
  }

  /** Adds a new chunk of encoding 1 to 6; the data is not kept. */
  writeChunk(encoding: number, data: Uint8Array, minTime: number, maxTime: number): void {
    const word = (data[0]! << 8) | data[1]!;
    const samples = encoding >= ENCODING.histogramSt ? word & 0x3fff : word;
    this.writeCounted(encoding, data, samples, minTime, maxTime);
  }

  /** Adds a new chunk that stands for so many samples. */
  writeCounted(encoding: number, data: Uint8Array, samples: number, minTime: number, maxTime: number): void {
    const ref = this.#chunks.write(encoding, data);
    this.#add(encoding, samples, ref, minTime, maxTime);
    this.#noteSize(data.length);
  }

  /** Ends a series; without chunks it is left out. Says whether it was written. */
  endSeries(labels: Uint32Array, labelCount: number): boolean {
    const entry = this.#entry;
    if (entry.chunkCount === 0) return false;
    const ref = this.index.addSeries(labels, labelCount, entry);
    if (this.#lastRef > 0) {
      const byteCount = (ref - this.#lastRef) * SERIES_ALIGNMENT;
      if (byteCount > this.#seriesBytesMax) this.#seriesBytesMax = byteCount;
    }
    this.#lastRef = ref;
    this.#indexBytes = ref * SERIES_ALIGNMENT;
    entry.chunkCount = 0;
    return true;
  }

  get stats(): OutputStats {
    return {
      sampleCount: this.#samples,
      floatSampleCount: this.#floatSamples,
      histogramSampleCount: this.#histogramSamples,
      seriesCount: this.index.seriesCount,
      chunkCount: this.#chunkCount,
      seriesBytesMax: this.#seriesBytesMax,
      chunkBytesMax: this.#chunkBytesMax,
    };
  }

  /** Completes the block and makes it visible, synced to disk. */
  finish(meta: BlockMeta): void {
    this.#chunks.finish();
    this.index.finish();
    this.#indexBytes = statSync(this.index.path).size;
    writeBlockMeta(this.#temporary, meta);
    writeTombstones(this.#temporary, new Map());
    fsyncDirectory(this.#temporary);
    renameSync(this.#temporary, this.directory);
    fsyncDirectory(this.#parent);
  }

  /** Gives up and removes everything written. */
  abort(): void {
    this.#chunks.abort();
    this.index.abort();
    rmSync(this.#temporary, { recursive: true, force: true });
  }

  #add(encoding: number, samples: number, ref: number, minTime: number, maxTime: number): void {
    const entry = this.#entry;
    const i = entry.chunkCount++;
    entry.ensureChunks(i + 1);
    entry.chunkMinTimes[i] = minTime;
    entry.chunkMaxTimes[i] = maxTime;
    entry.chunkRefs[i] = ref;
    this.#chunkCount++;
    this.#samples += samples;
    if (encoding === ENCODING.xor || encoding === ENCODING.xor2) this.#floatSamples += samples;
    else if (encoding !== ENCODING.aggregate) this.#histogramSamples += samples;
  }

  #noteSize(byteCount: number): void {
    if (byteCount > this.#chunkBytesMax) this.#chunkBytesMax = byteCount;
  }
}
