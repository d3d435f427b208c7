import { dirname } from 'node:path';
import { VarveError } from '../../errors/index.js';
import {
  type BlockMeta,
  BlockReader,
  BlockWriter,
  type BlockWriterOptions,
  type ThanosMeta,
} from '../block/index.js';
import { ENCODING } from '../chunk/index.js';
import { BlockSeries } from './block-series.js';
import { coarserResolution } from './levels.js';
import { SeriesDownsampler } from './series-downsampler.js';

export interface DownsampleOptions {
  /** Directory below which the block is made; that of the first source by default. */
  readonly parentDirectory?: string;
  /** Name of the block; made from the clock otherwise. */
  readonly ulid?: string;
  /** What meta.json names as the maker, `compactor` by default. */
  readonly source?: string;
  /** What `thanos.extensions` of the result says, when it is not empty; that of the first source by default. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly segmentBytesMax?: number;
  /** Lowest compaction level of the result. */
  readonly level?: number;
  /** Called every thousand series or so. An error thrown here ends the work and leaves nothing behind. */
  readonly onProgress?: (progress: DownsampleProgress) => void;
}

export interface DownsampleProgress {
  /** Series written. */
  readonly seriesDone: number;
  /** At least so many there are: those of the source with most. */
  readonly seriesTotal: number;
}

const PROGRESS_SERIES = 1024;

/**
 * Writes one block of the next coarser resolution from blocks of one resolution whose time ranges don't overlap: raw
 * to 5 minutes, to an hour, to a day. One source gives what Thanos gives; several become one block. Synchronous, for a
 * worker thread. Memory: the chunks of one series, and for the index 4 bytes per symbol and series of each source
 * besides what BlockWriter needs.
 *
 * Of a single source the compaction section of meta.json stays as it is, so that equal `sources` tell what has been
 * downsampled already; several are united as by compaction.
 * @param directories of the source blocks, in any order
 * @returns meta of the new block, null when nothing was to be counted: then there is no block
 * @throws VarveError `downsample-sources` when the blocks don't go together, unavailable `downsample-overlap`,
 * `downsample-encoding` or `downsample-tombstones` when they can't be downsampled as they are, CorruptionError
 */
export function downsampleBlocks(
  directories: readonly string[],
  options: DownsampleOptions = {},
): BlockMeta | null {
  const blocks: BlockReader[] = [];
  try {
    for (const directory of directories) blocks.push(BlockReader.open(directory));
    blocks.sort((a, b) => a.meta.minTime - b.meta.minTime);
    const { input, output } = resolutionsOf(blocks);
    const parent = options.parentDirectory ?? dirname(directories[0]!);
    const writer = BlockWriter.create(parent, writerOptions(blocks, output, options));
    try {
      writeSeries(blocks, new SeriesDownsampler(input, output), writer, options);
      return writer.finish();
    } catch (error) {
      writer.abort();
      throw error;
    }
  } finally {
    for (const block of blocks) block.close();
  }
}

function writeSeries(
  blocks: readonly BlockReader[],
  downsampler: SeriesDownsampler,
  writer: BlockWriter,
  options: DownsampleOptions,
): void {
  const series = new BlockSeries(blocks, (symbol) => writer.addSymbols([symbol]));
  const seriesTotal = blocks.reduce((most, { meta }) => Math.max(most, meta.stats.numSeries ?? 0), 0);
  const { kernel } = downsampler;
  let seriesDone = 0;
  while (series.next()) {
    kernel.reset();
    const made = downsampler.downsample(series.load(kernel), series.deleted);
    writer.addSeries(
      series.labels,
      made.map((chunk) => ({ ...chunk, encoding: ENCODING.aggregate })),
    );
    seriesDone++;
    if (seriesDone % PROGRESS_SERIES === 0) options.onProgress?.({ seriesDone, seriesTotal });
  }
}

/** Resolutions of the sources and of the result. Refuses blocks that don't go together. */
function resolutionsOf(blocks: readonly BlockReader[]): { input: number; output: number } {
  const [first] = blocks;
  if (first === undefined) throw badSources('no block was given');
  const input = resolutionOf(first.meta);
  const output = coarserResolution(input);
  if (output === null) {
    throw badSources(`block ${first.meta.ulid} has resolution ${input} ms, which has no coarser one`);
  }
  let before: BlockMeta | null = null;
  for (const { meta, tombstones } of blocks) {
    if (resolutionOf(meta) !== input) {
      throw badSources(
        `block ${meta.ulid} has resolution ${resolutionOf(meta)} ms, ${first.meta.ulid} ${input} ms`,
      );
    }
    if (labelsOf(meta) !== labelsOf(first.meta)) {
      throw badSources(`blocks ${first.meta.ulid} and ${meta.ulid} have different external labels`);
    }
    if (before !== null && meta.minTime < before.maxTime) {
      throw badSources(`blocks ${before.ulid} and ${meta.ulid} overlap in time`);
    }
    if (input > 0 && tombstones.size > 0) {
      throw new VarveError(
        'unavailable',
        'downsample-tombstones',
        `block ${meta.ulid} has deletions, which must be applied to it before it is downsampled further`,
        { details: { block: meta.ulid } },
      );
    }
    before = meta;
  }
  return { input, output };
}

function resolutionOf(meta: BlockMeta): number {
  return meta.thanos?.downsample.resolution ?? 0;
}

/** External labels in a form to compare. */
function labelsOf(meta: BlockMeta): string {
  return JSON.stringify(Object.entries(meta.thanos?.labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function writerOptions(
  blocks: readonly BlockReader[],
  resolution: number,
  options: DownsampleOptions,
): BlockWriterOptions {
  const metas = blocks.map(({ meta }) => meta);
  const { compaction, thanos } = metas[0]!;
  const isSingle = metas.length === 1;
  const hints = isSingle ? compaction.hints : unitedHints(metas);
  const parents = isSingle
    ? compaction.parents
    : metas.map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime }));
  const extensions = options.extensions ?? thanos?.['extensions'] ?? {};
  const section: ThanosMeta = {
    version: 1,
    labels: thanos?.labels ?? {},
    downsample: { resolution },
    source: options.source ?? 'compactor',
    ...(Object.keys(extensions).length === 0 ? {} : { extensions }),
  };
  return {
    minTime: metas[0]!.minTime,
    maxTime: metas.at(-1)!.maxTime,
    level: Math.max(
      options.level ?? 0,
      isSingle ? compaction.level : Math.max(...metas.map((meta) => meta.compaction.level)) + 1,
    ),
    sources: metas.flatMap((meta) => meta.compaction.sources),
    ...(parents === undefined ? {} : { parents }),
    ...(hints === undefined ? {} : { hints }),
    ...(options.ulid === undefined ? {} : { ulid: options.ulid }),
    ...(options.segmentBytesMax === undefined ? {} : { segmentBytesMax: options.segmentBytesMax }),
    thanos: section,
  };
}

/** Hints that any block has; `from-out-of-order` only when all have it. */
function unitedHints(metas: readonly BlockMeta[]): string[] | undefined {
  const lists = metas.map((meta) => meta.compaction.hints ?? []);
  const hints = [...new Set(lists.flat())].filter(
    (hint) => hint !== 'from-out-of-order' || lists.every((list) => list.includes(hint)),
  );
  return hints.length === 0 ? undefined : hints;
}

function badSources(message: string): VarveError {
  return new VarveError('internal', 'downsample-sources', `cannot downsample: ${message}`);
}
