import { basename } from 'node:path';
import { ulid } from 'ulid';
import { VarveError } from '../../errors/index.js';
import { type BlockMeta, type DeletionMask, readBlockMeta } from '../block/index.js';
import { BlockOutput } from './block-output.js';
import { mergeMetas, type ThanosOverrides, withStats } from './merged-meta.js';
import { SeriesMerger } from './series-merger.js';
import { blame, SourceBlock } from './source-block.js';
import { SymbolUnion } from './symbol-union.js';

/** Symbols, or series and chunks, between two looks at the signal: some 10 ms. */
const STEP_SYMBOLS = 32 * 1024;
const STEP_CHUNKS = 8 * 1024;

/** How far a compaction is. */
export interface CompactProgress {
  /** `index` is the last part, in which the postings are written: some seconds for 10 M series. */
  readonly phase: 'symbols' | 'series' | 'index';
  /** Series of all sources together, and how many of them are merged. */
  readonly sourceSeriesTotal: number;
  readonly sourceSeriesDone: number;
  /** Bytes of the sources' indexes and chunks. */
  readonly sourceBytesTotal: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface CompactOptions extends ThanosOverrides {
  /** Existing directory in which the new block will stand. */
  readonly directory: string;
  /** Name of the new block; made from the clock otherwise. */
  readonly ulid?: string;
  /** Most bytes of a chunk segment, 512 MiB by default. */
  readonly segmentBytesMax?: number;
  /** Samples to leave out. Of downsampled blocks every window that a span touches goes. */
  readonly masks?: readonly DeletionMask[];
  readonly signal?: AbortSignal;
  /** Called at each pause, some hundred times a second. */
  readonly onProgress?: (progress: CompactProgress) => void;
}

/** What came out of a compaction. */
export interface CompactedBlock {
  /** Null when all samples were deleted: then nothing was written. */
  readonly meta: BlockMeta | null;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * Merges local blocks into one new block. The sources may follow one another or overlap in any way; they are not
 * changed. One block alone is written anew without what its tombstones delete.
 *
 * Chunks that overlap no other are copied byte for byte, of equal ones one. Other overlapping chunks are merged sample
 * by sample: of samples with equal times that of the block which begins first stays, among those that of the older name.
 *
 * Series are streamed in label order. Memory grows with the symbols of each source (4 bytes), the label pairs (28
 * bytes) and the series (4 bytes) of the result, and with the samples of the one series that is being merged.
 *
 * Works synchronously in steps of some milliseconds, with pauses in which signals arrive: it belongs on a thread of its
 * own. Until the new block is complete it stands in `<ULID>.tmp-for-creation`, which errors remove and crashes leave.
 *
 * @param sources block directories, each once
 * @returns the meta.json of the new block, with `parents` in the order of `sources`
 * @throws CorruptionError with `block`, `file` and `offset` in its details, when a source is damaged
 * @throws VarveError unavailable `aggregate-overlap`, `aggregate-deletion`, `chunk-encoding-unsupported` (details.block):
 *         a source that cannot be compacted; client `compact-sources`, `compact-mixed-resolutions`,
 *         `compact-mixed-labels`; cancelled `compact-cancelled`
 */
export async function compactBlocks(
  sources: readonly string[],
  options: CompactOptions,
): Promise<CompactedBlock> {
  const name = options.ulid ?? ulid();
  const metas = sources.map((directory) => readMeta(directory));
  if (new Set(metas.map((meta) => meta.ulid)).size !== Math.max(1, metas.length)) {
    throw new VarveError(
      'client',
      'compact-sources',
      'compaction needs at least one block, and each only once',
    );
  }
  const meta = mergeMetas(name, metas, options);
  const opened: SourceBlock[] = [];
  let output: BlockOutput | null = null;
  try {
    const order = [...metas.keys()].sort((a, b) => compareMetas(metas[a]!, metas[b]!));
    for (const [rank, i] of order.entries()) {
      opened.push(SourceBlock.open(sources[i]!, metas[i]!, rank, options.masks));
    }
    output = new BlockOutput(options.directory, name, options.segmentBytesMax);
    return await new Compaction(opened, output, options).run(meta);
  } catch (error) {
    output?.abort();
    throw error;
  } finally {
    for (const source of opened) source.close();
  }
}

class Compaction {
  readonly #sources: readonly SourceBlock[];
  readonly #output: BlockOutput;
  readonly #options: CompactOptions;
  readonly #sourceBytesTotal: number;
  #symbols: SymbolUnion | null;
  /** Sources that still have series, by rank. */
  #live: SourceBlock[];

  constructor(sources: readonly SourceBlock[], output: BlockOutput, options: CompactOptions) {
    this.#sources = sources;
    this.#output = output;
    this.#options = options;
    this.#sourceBytesTotal = sources.reduce((sum, source) => sum + source.byteCount, 0);
    this.#symbols = null;
    this.#live = [];
  }

  async run(meta: Omit<BlockMeta, 'stats'>): Promise<CompactedBlock> {
    await this.#pause('symbols');
    await this.#writeSymbols();
    await this.#writeSeries();
    await this.#pause('index');
    const output = this.#output;
    const bytesRead = this.#bytesRead();
    const { stats } = output;
    if (stats.sampleCount === 0) {
      output.abort();
      return { meta: null, bytesRead, bytesWritten: 0 };
    }
    const written = withStats(meta, stats);
    output.finish(written);
    return { meta: written, bytesRead, bytesWritten: output.byteCount };
  }

  async #writeSymbols(): Promise<void> {
    const symbols = new SymbolUnion(
      this.#sources.map((source) => source.block.index),
      this.#output.index,
    );
    this.#symbols = symbols;
    for (;;) {
      let isMore: boolean;
      try {
        isMore = symbols.step(STEP_SYMBOLS);
      } catch (error) {
        throw this.#blameByFile(error);
      }
      if (!isMore) break;
      await this.#pause('symbols');
    }
    this.#live = this.#sources.filter((source, i) => source.start(symbols.ids[i]!, symbols.emptySymbol));
  }

  async #writeSeries(): Promise<void> {
    const merger = new SeriesMerger(this.#output, isVertical(this.#sources));
    const group: SourceBlock[] = [];
    let work = 0;
    while (this.#live.length > 0) {
      const count = this.#gatherLeast(group);
      work += 1 + merger.merge(group, count);
      let isEnd = false;
      for (let i = 0; i < count; i++) if (!group[i]!.next()) isEnd = true;
      if (isEnd) this.#live = this.#live.filter((source) => !source.cursor.isDone);
      if (work < STEP_CHUNKS) continue;
      work = 0;
      await this.#pause('series');
    }
  }

  /** Puts the sources that stand at the least series into `group`, by rank; returns how many. */
  #gatherLeast(group: SourceBlock[]): number {
    const live = this.#live;
    let least = live[0]!;
    group[0] = least;
    let count = 1;
    for (let i = 1; i < live.length; i++) {
      const source = live[i]!;
      const a = source.cursor.entry;
      const b = least.cursor.entry;
      const order = compareLabels(a.labels, a.labelCount, b.labels, b.labelCount);
      if (order > 0) continue;
      if (order < 0) {
        least = source;
        count = 0;
      }
      group[count++] = source;
    }
    return count;
  }

  /** Lets others run, reports progress, and looks whether to stop. */
  async #pause(phase: CompactProgress['phase']): Promise<void> {
    const { signal, onProgress } = this.#options;
    onProgress?.({
      phase,
      sourceSeriesTotal: this.#sources.reduce((sum, source) => sum + source.seriesTotal, 0),
      sourceSeriesDone: this.#sources.reduce((sum, source) => sum + source.seriesDone, 0),
      sourceBytesTotal: this.#sourceBytesTotal,
      bytesRead: this.#bytesRead(),
      bytesWritten: this.#output.byteCount,
    });
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (signal?.aborted) {
      throw new VarveError('cancelled', 'compact-cancelled', 'the compaction was cancelled', {
        cause: signal.reason,
      });
    }
  }

  #bytesRead(): number {
    const symbols = this.#symbols?.bytesRead ?? 0;
    return this.#sources.reduce((sum, source) => sum + source.bytesRead, symbols);
  }

  /** Finds the block that an error is about by the file it names. */
  #blameByFile(error: unknown): unknown {
    const file = error instanceof VarveError ? error.details['file'] : undefined;
    const source = this.#sources.find((one) => one.block.index.source.name === file);
    return source === undefined ? error : blame(error, source.meta.ulid, source.directory);
  }
}

function readMeta(directory: string): BlockMeta {
  try {
    return readBlockMeta(directory);
  } catch (error) {
    throw blame(error, basename(directory), directory);
  }
}

/** The order in which samples with equal times are preferred. */
function compareMetas(a: BlockMeta, b: BlockMeta): number {
  return a.minTime - b.minTime || (a.ulid < b.ulid ? -1 : 1);
}

/** Whether any two of the blocks, which come by their begin, overlap in time. */
function isVertical(sources: readonly SourceBlock[]): boolean {
  let end = Number.NEGATIVE_INFINITY;
  for (const { meta } of sources) {
    if (meta.minTime < end) return true;
    end = meta.maxTime;
  }
  return false;
}

/** Order of label sets by their symbols, which are in the order of their strings; a proper prefix comes first. */
function compareLabels(a: Uint32Array, aCount: number, b: Uint32Array, bCount: number): number {
  const n = Math.min(aCount, bCount) * 2;
  for (let i = 0; i < n; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return aCount - bCount;
}
