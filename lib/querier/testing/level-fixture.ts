import { join } from 'node:path';
import fc from 'fast-check';
import type { SeededPrng } from '../../prng/index.js';
import {
  createQueryEngine,
  type HelpDesk,
  type QueryEngine,
  type QueryResult,
} from '../../promql/exec/index.js';
import type { Queryable } from '../../storage/index.js';
import { BlockQueryable, BlockReader } from '../../tsdb/block/index.js';
import { type TestSeries, testSeries, writeTestBlock } from '../../tsdb/block/testing/index.js';
import { downsampleBlocks } from '../../tsdb/downsample/index.js';
import type { LevelBlock } from '../levels.js';

/** Blocks of all resolutions for tests, and queries over any of them. */

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** A midnight. */
export const T = 1_699_920_000_000;

export type Sample = readonly [timeMs: number, value: number];

export interface DaySeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly Sample[];
}

/** A block that remembers how often it was opened. */
export interface OpenBlock extends LevelBlock {
  readonly ulid: string;
  readonly directory: string;
  opened: number;
  [fc.toStringMethod](): string;
}

/** Times from `fromMs` on, none on a full minute: every `intervalMs` with some jitter, now and then with a gap. */
export function irregularTimes(
  prng: SeededPrng,
  fromMs: number,
  toMs: number,
  intervalMs: number,
  gapMs: number,
): number[] {
  const times: number[] = [];
  for (let t = fromMs + 17_000; t < toMs; ) {
    if (t % MINUTE !== 0) times.push(t);
    t += intervalMs + prng.nextInt(Math.max(1, intervalMs / 10));
    if (gapMs > 0 && prng.nextInt(200) === 0) t += prng.nextInt(gapMs);
  }
  return times;
}

/** Writes one raw block of series, given in label order, with what of them lies in the times. */
export function writeRaw(
  folder: string,
  series: readonly DaySeries[],
  minTime: number,
  maxTime: number,
  sources?: readonly string[],
): OpenBlock {
  const inside: TestSeries[] = [];
  for (const { labels, samples } of series) {
    const some = samples.filter(([t]) => t >= minTime && t < maxTime);
    if (some.length > 0) inside.push(testSeries(labels, some, 120));
  }
  const meta = writeTestBlock(folder, inside, {
    minTime,
    maxTime,
    ...(sources === undefined ? {} : { sources }),
  });
  return openTestBlock(join(folder, meta.ulid));
}

/** One block of the next resolution out of blocks of one. */
export function writeLevel(blocks: readonly OpenBlock[]): OpenBlock {
  const meta = downsampleBlocks(blocks.map(({ directory }) => directory))!;
  return openTestBlock(join(blocks[0]!.directory, '..', meta.ulid));
}

export function openTestBlock(directory: string): OpenBlock {
  const reader = BlockReader.open(directory);
  const { minTime, maxTime, ulid, compaction, thanos } = reader.meta;
  const block: OpenBlock = {
    minTimeMs: minTime,
    maxTimeMs: maxTime,
    resolutionMs: thanos?.downsample?.resolution ?? 0,
    sources: compaction.sources,
    ulid,
    directory,
    opened: 0,
    open: async (options) => {
      block.opened++;
      return new BlockQueryable(reader, options);
    },
    [fc.toStringMethod]: () => `${block.resolutionMs} at ${(minTime - T) / DAY}..${(maxTime - T) / DAY}`,
  };
  return block;
}

export interface Asked {
  readonly startMs: number;
  readonly endMs?: number;
  readonly stepMs?: number;
  readonly delayedNameRemoval?: boolean;
  /** Whether leaves are divided for several threads. */
  readonly withHelp?: boolean;
}

const engines = new Map<string, QueryEngine>();

function engineFor({ delayedNameRemoval = false, withHelp = false }: Asked): QueryEngine {
  const key = `${delayedNameRemoval} ${withHelp}`;
  let engine = engines.get(key);
  if (engine === undefined) {
    const options = {
      lookbackMs: 5 * MINUTE,
      evaluationIntervalMs: MINUTE,
      samplesMax: 50_000_000,
      memoryBytesMax: 256 * 1024 * 1024,
      delayedNameRemoval,
      parser: {
        experimentalFunctions: true,
        extendedRangeSelectors: true,
        binopFillModifiers: true,
        durationExpressions: true,
      },
    };
    // Nobody comes, so the asking thread does what is meant for several.
    const desk: HelpDesk = { coordinator: 1, helpersMax: 1, call: () => {} };
    engine = createQueryEngine(options, withHelp ? desk : null);
    engines.set(key, engine);
  }
  return engine;
}

export function ask(source: Queryable, query: string, asked: Asked): Promise<QueryResult> {
  const { startMs, endMs = startMs, stepMs = 0 } = asked;
  const request = { query, startMs, endMs, stepMs, lookbackMs: 0, limit: 0 };
  return engineFor(asked).execute(request, source, () => false, Number.POSITIVE_INFINITY);
}

/** Values by labels and step, null where there is none. Of histograms the sum. */
export function valuesOf({ value }: QueryResult): Map<string, (number | null)[]> {
  if (value.type !== 'vector' && value.type !== 'matrix') throw new Error(value.type);
  return new Map(
    value.series.map((series) => [
      JSON.stringify(Object.fromEntries(series.labels.map((label) => [label.name, label.value]))),
      Array.from(series.values, (x, k) => {
        const kind = series.present[k];
        return kind === 0 ? null : kind === 2 ? series.histograms![k]!.sum : x;
      }),
    ]),
  );
}
