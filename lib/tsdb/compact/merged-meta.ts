import { VarveError } from '../../errors/index.js';
import type { BlockMeta, ThanosMeta } from '../block/index.js';
import type { OutputStats } from './block-output.js';

/** Kept only when every source has it; all other hints are kept when any has them. */
const HINT_OF_ALL = 'from-out-of-order';

export interface ThanosOverrides {
  /** External labels of the result; needed when those of the sources differ. */
  readonly externalLabels?: Readonly<Record<string, string>>;
  /** What `thanos.source` says; `compactor` by default. */
  readonly thanosSource?: string;
  /** What `thanos.extensions` says; absent by default and when it is empty. */
  readonly thanosExtensions?: Readonly<Record<string, unknown>>;
}

/**
 * The parts of meta.json that follow from those of the sources: time range, level, ancestors, hints, thanos section.
 * @throws VarveError client `compact-mixed-resolutions`, `compact-mixed-labels`
 */
export function mergeMetas(
  ulid: string,
  sources: readonly BlockMeta[],
  overrides: ThanosOverrides,
): Omit<BlockMeta, 'stats'> {
  const hints = mergeHints(sources);
  const thanos = mergeThanos(sources, overrides);
  return {
    ulid,
    minTime: Math.min(...sources.map((meta) => meta.minTime)),
    maxTime: Math.max(...sources.map((meta) => meta.maxTime)),
    compaction: {
      level: Math.max(...sources.map((meta) => meta.compaction.level)) + 1,
      sources: [...new Set(sources.flatMap(ancestorsOf))].sort(),
      parents: sources.map(({ ulid: parent, minTime, maxTime }) => ({ ulid: parent, minTime, maxTime })),
      ...(hints.length === 0 ? {} : { hints }),
    },
    version: 1,
    ...(thanos === null ? {} : { thanos }),
  };
}

/** Completes meta.json by what was written. */
export function withStats(meta: Omit<BlockMeta, 'stats'>, stats: OutputStats): BlockMeta {
  const { ulid, minTime, maxTime, compaction, version, thanos } = meta;
  return {
    ulid,
    minTime,
    maxTime,
    stats: {
      numSamples: stats.sampleCount,
      ...(stats.floatSampleCount > 0 ? { numFloatSamples: stats.floatSampleCount } : {}),
      ...(stats.histogramSampleCount > 0 ? { numHistogramSamples: stats.histogramSampleCount } : {}),
      numSeries: stats.seriesCount,
      numChunks: stats.chunkCount,
    },
    compaction,
    version,
    ...(thanos === undefined ? {} : { thanos: { ...thanos, index_stats: indexStats(stats) } }),
  };
}

/** Upper bounds that readers of ranges size their requests with. */
function indexStats(stats: OutputStats): Readonly<Record<string, number>> {
  return {
    ...(stats.seriesBytesMax > 0 ? { series_max_size: stats.seriesBytesMax } : {}),
    ...(stats.chunkBytesMax > 0 ? { chunk_max_size: stats.chunkBytesMax } : {}),
  };
}

function ancestorsOf(meta: BlockMeta): readonly string[] {
  const { sources } = meta.compaction;
  return sources.length === 0 ? [meta.ulid] : sources;
}

function mergeHints(sources: readonly BlockMeta[]): string[] {
  const all = new Set(sources.flatMap((meta) => meta.compaction.hints ?? []));
  if (!sources.every((meta) => meta.compaction.hints?.includes(HINT_OF_ALL))) all.delete(HINT_OF_ALL);
  return [...all].sort();
}

function mergeThanos(sources: readonly BlockMeta[], overrides: ThanosOverrides): ThanosMeta | null {
  const first = sources[0]!;
  const resolution = resolutionOf(first);
  const labels = labelsOf(first);
  for (const meta of sources) {
    if (resolutionOf(meta) !== resolution) {
      throw new VarveError(
        'client',
        'compact-mixed-resolutions',
        `block ${meta.ulid} has a resolution of ${resolutionOf(meta)} ms, block ${first.ulid} one of ${resolution} ms`,
        { details: { block: meta.ulid, otherBlock: first.ulid } },
      );
    }
    if (overrides.externalLabels === undefined && !isEqual(labelsOf(meta), labels)) {
      throw new VarveError(
        'client',
        'compact-mixed-labels',
        `blocks ${meta.ulid} and ${first.ulid} have different external labels`,
        { details: { block: meta.ulid, otherBlock: first.ulid } },
      );
    }
  }
  const isNeeded =
    overrides.externalLabels !== undefined || sources.some((meta) => meta.thanos !== undefined);
  if (!isNeeded) return null;
  const extensions = overrides.thanosExtensions ?? {};
  return {
    version: 1,
    labels: overrides.externalLabels ?? labels,
    downsample: { resolution },
    source: overrides.thanosSource ?? 'compactor',
    ...(Object.keys(extensions).length === 0 ? {} : { extensions }),
  };
}

function resolutionOf(meta: BlockMeta): number {
  return meta.thanos?.downsample.resolution ?? 0;
}

function labelsOf(meta: BlockMeta): Readonly<Record<string, string>> {
  return meta.thanos?.labels ?? {};
}

function isEqual(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
