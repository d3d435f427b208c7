import { CorruptionError, VarveError } from '../../errors/index.js';
import { MergeKernel } from '../../kernel/index.js';
import { ENCODING, PlainChunkWriter, RESET_HEADER } from '../chunk/index.js';
import { type CutChunk, cutAggregate } from './aggregate-cutter.js';
import type { BlockOutput } from './block-output.js';
import type { ChunkStream } from './chunk-stream.js';
import { SampleMerger } from './sample-merger.js';
import { SeriesChunks } from './series-chunks.js';
import type { SourceBlock } from './source-block.js';

/** Samples in a chunk that is encoded anew, as in Prometheus. */
export const SAMPLES_PER_CHUNK = 120;

/**
 * Writes the chunks of one series out of those of several blocks. Chunks that meet no other are copied byte for byte;
 * of equal ones the first is copied; the rest are decoded, merged by time and encoded anew.
 *
 * Of samples with equal times that of the block with the lowest rank stays. Start times (encodings 4 to 6) are kept in
 * copied chunks and lost in those that are encoded anew.
 */
export class SeriesMerger {
  readonly #output: BlockOutput;
  readonly #chunks: SeriesChunks;
  readonly #kernel: MergeKernel;
  readonly #samples: SampleMerger;
  readonly #plain: PlainChunkWriter;
  /** Chunk numbers of the cluster that is being merged, without repeated chunks. */
  readonly #kept: number[];
  /** Where the chunk copied last came from; null after anything else. */
  #lastSource: SourceBlock | null;
  #lastPlace: number;
  #isFirst: boolean;
  /** Whether any two blocks overlap in time. */
  readonly #isVertical: boolean;

  constructor(output: BlockOutput, isVertical: boolean) {
    this.#output = output;
    this.#isVertical = isVertical;
    this.#chunks = new SeriesChunks();
    this.#kernel = new MergeKernel();
    this.#samples = new SampleMerger();
    this.#plain = new PlainChunkWriter();
    this.#kept = [];
    this.#lastSource = null;
    this.#lastPlace = 0;
    this.#isFirst = true;
  }

  /**
   * Merges the series at which the cursors of the first `count` sources stand, which is the same in all of them.
   * @returns the number of chunks looked at
   * @throws CorruptionError that names block, file and offset
   * @throws VarveError unavailable `aggregate-overlap` or `aggregate-deletion` (details.block, otherBlock): downsampled
   *         chunks that would have to be taken apart
   */
  merge(sources: readonly SourceBlock[], count: number): number {
    const chunks = this.#chunks;
    chunks.clear();
    for (let i = 0; i < count; i++) chunks.gather(sources[i]!);
    this.#isFirst = true;
    this.#lastSource = null;
    if (chunks.isOrdered) {
      for (let i = 0; i < chunks.count; i++) this.#writeSingle(i);
    } else this.#writeOverlapping();
    const { entry } = sources[0]!.cursor;
    this.#output.endSeries(entry.labels, entry.labelCount);
    return chunks.count;
  }

  #writeOverlapping(): void {
    const chunks = this.#chunks;
    chunks.sort();
    const { order, minTimes, maxTimes, count } = chunks;
    let from = 0;
    while (from < count) {
      let end = maxTimes[order[from]!]!;
      let to = from + 1;
      while (to < count && minTimes[order[to]!]! <= end) {
        end = Math.max(end, maxTimes[order[to]!]!);
        to++;
      }
      if (to === from + 1) this.#writeSingle(order[from]!);
      else this.#writeCluster(from, to);
      from = to;
    }
  }

  /** A chunk that meets no other. */
  #writeSingle(chunk: number): void {
    const { sources, refs, spans } = this.#chunks;
    if (spans[chunk] !== null) {
      if (this.#cutAggregate(chunk)) return;
      this.#kept.length = 0;
      this.#kept.push(chunk);
      this.#encodeKept();
      return;
    }
    const source = sources[chunk]!;
    source.readChunk(refs[chunk]!);
    this.#copy(chunk);
  }

  /** Writes what is left of a partly deleted chunk of a downsampled block; false for other chunks. */
  #cutAggregate(chunk: number): boolean {
    const { sources, refs, spans } = this.#chunks;
    const source = sources[chunk]!;
    source.readChunk(refs[chunk]!);
    if (source.chunks.encoding !== ENCODING.aggregate) return false;
    let left: CutChunk | null;
    try {
      left = cutAggregate(source.chunks.data(), spans[chunk]!);
    } catch (error) {
      throw source.blameChunk(error, refs[chunk]!);
    }
    if (left !== null) {
      const { data, windowCount, minTime, maxTime } = left;
      this.#output.writeCounted(ENCODING.aggregate, data, windowCount, minTime, maxTime);
    }
    this.#noteEncoded(left === null ? 0 : 1);
    return true;
  }

  /** Copies the chunk that its source read last. */
  #copy(chunk: number): void {
    const { sources, places, minTimes, maxTimes } = this.#chunks;
    const source = sources[chunk]!;
    const place = places[chunk]!;
    const stream = source.chunks;
    const minTime = minTimes[chunk]!;
    const maxTime = maxTimes[chunk]!;
    const isNeighbour = source === this.#lastSource && place === this.#lastPlace + 1;
    // The first chunk of a block speaks of the block before, which is before it still unless others came between.
    const isBegin = place === 0 && (this.#isFirst || !this.#isVertical);
    if (isNeighbour || isBegin || !saysReset(stream)) {
      this.#output.copyChunk(stream, minTime, maxTime);
    } else {
      // The chunk before it is not, or not wholly, the one that its header speaks of.
      const data = new Uint8Array(stream.data());
      const flags = stream.encoding >= ENCODING.histogramSt ? 0 : 2;
      data[flags]! &= 0x3f;
      this.#output.writeChunk(stream.encoding, data, minTime, maxTime);
    }
    this.#isFirst = false;
    this.#lastSource = source;
    this.#lastPlace = place;
  }

  /** Chunks that overlap: those at [from, to) of the order. */
  #writeCluster(from: number, to: number): void {
    const { order } = this.#chunks;
    const kept = this.#kept;
    kept.length = 0;
    for (let i = from; i < to; i++) {
      const chunk = order[i]!;
      if (!this.#isRepeated(chunk)) kept.push(chunk);
    }
    if (kept.length === 1) this.#writeSingle(kept[0]!);
    else this.#encodeKept();
  }

  /** Whether a chunk that was kept has the same times and bytes. */
  #isRepeated(chunk: number): boolean {
    const { minTimes, maxTimes, spans, sources, refs } = this.#chunks;
    if (spans[chunk] !== null) return false;
    for (let i = this.#kept.length - 1; i >= 0; i--) {
      const other = this.#kept[i]!;
      // Sorted by times: equal ones are neighbours.
      if (minTimes[other] !== minTimes[chunk] || maxTimes[other] !== maxTimes[chunk]) return false;
      if (spans[other] !== null) continue;
      const a = sources[chunk]!;
      const b = sources[other]!;
      if (a === b) continue;
      a.readChunk(refs[chunk]!);
      b.readChunk(refs[other]!);
      if (isEqual(a.chunks, b.chunks)) return true;
    }
    return false;
  }

  /** Decodes, merges and encodes the chunks kept. */
  #encodeKept(): void {
    const kernel = this.#kernel;
    const { sources, refs, minTimes, maxTimes, spans } = this.#chunks;
    const kept = this.#kept;
    kernel.begin();
    for (const chunk of kept) {
      const source = sources[chunk]!;
      source.readChunk(refs[chunk]!);
      const { encoding } = source.chunks;
      if (encoding === ENCODING.aggregate) throw this.#aggregateError(chunk);
      if (encoding !== ENCODING.xor && encoding !== ENCODING.xor2) {
        this.#encodeSamples();
        return;
      }
      const data = encoding === ENCODING.xor ? source.chunks.data() : this.#plainData(chunk);
      kernel.add(data, minTimes[chunk]!, maxTimes[chunk]!, source.rank, spans[chunk] ?? undefined);
    }
    let count: number;
    try {
      count = kernel.run(SAMPLES_PER_CHUNK);
    } catch (error) {
      const chunk = error instanceof CorruptionError ? kept[Number(error.details['chunk'])] : undefined;
      throw chunk === undefined ? error : sources[chunk]!.blameChunk(error, refs[chunk]!);
    }
    for (let i = 0; i < count; i++) {
      this.#output.writeChunk(ENCODING.xor, kernel.data(i), kernel.minTime(i), kernel.maxTime(i));
    }
    this.#noteEncoded(count);
  }

  /** The same for a cluster with histograms in it. */
  #encodeSamples(): void {
    const { sources, refs, minTimes, maxTimes, spans } = this.#chunks;
    const merger = this.#samples;
    merger.begin();
    for (const chunk of this.#kept) {
      const source = sources[chunk]!;
      source.readChunk(refs[chunk]!);
      const { encoding } = source.chunks;
      if (encoding === ENCODING.aggregate) throw this.#aggregateError(chunk);
      try {
        merger.add(
          encoding,
          source.chunks.data(),
          minTimes[chunk]!,
          maxTimes[chunk]!,
          source.rank,
          spans[chunk] ?? [],
        );
      } catch (error) {
        throw source.blameChunk(error, refs[chunk]!);
      }
    }
    let count = 0;
    merger.run(SAMPLES_PER_CHUNK, (encoding, data, minTime, maxTime) => {
      this.#output.writeChunk(encoding, data, minTime, maxTime);
      count++;
    });
    this.#noteEncoded(count);
  }

  #noteEncoded(chunkCount: number): void {
    this.#lastSource = null;
    if (chunkCount > 0) this.#isFirst = false;
  }

  #plainData(chunk: number): Uint8Array {
    const source = this.#chunks.sources[chunk]!;
    try {
      return this.#plain.write(source.chunks.encoding, source.chunks.data()).data;
    } catch (error) {
      throw source.blameChunk(error, this.#chunks.refs[chunk]!);
    }
  }

  #aggregateError(chunk: number): VarveError {
    const { sources, minTimes, maxTimes } = this.#chunks;
    const { ulid } = sources[chunk]!.meta;
    const other = this.#kept.find((one) => sources[one] !== sources[chunk]);
    const span = `${minTimes[chunk]}..${maxTimes[chunk]}`;
    if (other === undefined) {
      return new VarveError(
        'unavailable',
        'aggregate-deletion',
        `block ${ulid}: a downsampled chunk of ${span} is partly deleted, which needs its raw samples`,
        { details: { block: ulid } },
      );
    }
    const otherBlock = sources[other]!.meta.ulid;
    return new VarveError(
      'unavailable',
      'aggregate-overlap',
      `blocks ${ulid} and ${otherBlock}: downsampled chunks of one series overlap at ${span} and differ`,
      { details: { block: ulid, otherBlock } },
    );
  }
}

/** Whether a chunk claims to know of a counter reset right before it. */
function saysReset(stream: ChunkStream): boolean {
  const { encoding, bytes, dataStart } = stream;
  if (encoding === ENCODING.xor || encoding === ENCODING.xor2 || encoding === ENCODING.aggregate)
    return false;
  const header = bytes[dataStart + (encoding >= ENCODING.histogramSt ? 0 : 2)]! & 0xc0;
  return header === RESET_HEADER.reset || header === RESET_HEADER.notReset;
}

function isEqual(a: ChunkStream, b: ChunkStream): boolean {
  const length = a.frameEnd - a.frameStart;
  if (b.frameEnd - b.frameStart !== length) return false;
  const from = a.bytes;
  const to = b.bytes;
  for (let i = a.frameStart, j = b.frameStart; i < a.frameEnd; i++, j++) {
    if (from[i] !== to[j]) return false;
  }
  return true;
}
