import { codecKernel } from '../kernel/index.js';
import { CHUNK_ENCODING, type ChunkArena, type SeriesSet } from '../storage/index.js';
import {
  type CounterCut,
  cutCounter,
  type PlainAggregateWriter,
  samplesOfXor,
} from '../tsdb/downsample/index.js';
import type { Span } from './level-spans.js';

/**
 * Counters of a level where another source goes on in the middle of a chunk. What the chunk is worth at the cut depends
 * on the sample of the other source, so that such chunks are selected as they stand in the block, and cut when the
 * answers have been merged.
 */
export class CounterBorders {
  /** By address of a chunk: what is to be left of it. */
  readonly #cuts = new Map<number, Span>();
  readonly #writer: PlainAggregateWriter;

  constructor(writer: PlainAggregateWriter) {
    this.#writer = writer;
  }

  /** Notes the chunks of one source that reach out of what was to be read of it. */
  note(set: SeriesSet, span: Span): void {
    const { chunkAddresses, chunkMinTimes, chunkMaxTimes, chunkEncodings } = set;
    for (let c = 0; c < chunkAddresses.length; c++) {
      if (chunkEncodings[c] !== CHUNK_ENCODING.xor) continue;
      if (chunkMinTimes[c]! >= span.fromMs && chunkMaxTimes[c]! < span.toMs) continue;
      this.#cuts.set(chunkAddresses[c]!, span);
      chunkMinTimes[c] = Math.max(chunkMinTimes[c]!, span.fromMs);
      chunkMaxTimes[c] = Math.min(chunkMaxTimes[c]!, span.toMs - 1);
    }
  }

  /** Cuts what was noted, in the merged answer. */
  cut(set: SeriesSet, arena: ChunkArena): void {
    if (this.#cuts.size === 0) return;
    for (let series = 0; series < set.seriesCount; series++) {
      const end = set.chunkOffsets[series + 1]!;
      for (let c = set.chunkOffsets[series]!; c < end; c++) {
        const span = this.#cuts.get(set.chunkAddresses[c]!);
        if (span === undefined) continue;
        const before = c > set.chunkOffsets[series]! ? lastBefore(set, c - 1, span.fromMs, arena) : null;
        const isNextTrue = c + 1 < end && !this.#cuts.has(set.chunkAddresses[c + 1]!);
        const after = isNextTrue ? firstFrom(set, c + 1, span.toMs, arena) : null;
        this.#replace(set, c, { ...span, before, after }, arena);
      }
    }
  }

  #replace(set: SeriesSet, c: number, cut: CounterCut, arena: ChunkArena): void {
    const entry = cutCounter(chunkData(set, c, arena), cut);
    const plain = entry === null ? null : this.#writer.writeCounter(entry);
    const data = plain?.data ?? codecKernel().encodeXor(new Float64Array(0), new Float64Array(0), 0);
    const address = arena.reserve(data.length);
    arena.bytes().set(data, address);
    set.chunkAddresses[c] = address;
    set.chunkByteLengths[c] = data.length;
    if (plain === null) return;
    set.chunkMinTimes[c] = plain.minTime;
    set.chunkMaxTimes[c] = plain.maxTime;
  }
}

function chunkData(set: SeriesSet, c: number, arena: ChunkArena): Uint8Array {
  const address = set.chunkAddresses[c]!;
  return arena.bytes().subarray(address, address + set.chunkByteLengths[c]!);
}

function lastBefore(set: SeriesSet, c: number, timeMs: number, arena: ChunkArena): number | null {
  if (set.chunkEncodings[c] !== CHUNK_ENCODING.xor) return null;
  const { times, values } = samplesOfXor(chunkData(set, c, arena));
  let i = times.length - 1;
  // Stale markers and other NaNs say nothing.
  while (i >= 0 && (times[i]! >= timeMs || Number.isNaN(values[i]))) i--;
  return i < 0 ? null : values[i]!;
}

function firstFrom(set: SeriesSet, c: number, timeMs: number, arena: ChunkArena): number | null {
  if (set.chunkEncodings[c] !== CHUNK_ENCODING.xor) return null;
  const { times, values } = samplesOfXor(chunkData(set, c, arena));
  let i = 0;
  while (i < times.length && (times[i]! < timeMs || Number.isNaN(values[i]))) i++;
  return i === times.length ? null : values[i]!;
}
