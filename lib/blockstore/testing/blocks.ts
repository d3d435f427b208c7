import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bucket } from '../../bucket/index.js';
import type { Matcher, MatchType } from '../../matcher/index.js';
import { createMatcher } from '../../matcher/index.js';
import type { Prng } from '../../prng/index.js';
import { ArrayArena, type LabelQuery, type Queryable, type SelectHints } from '../../storage/index.js';
import { T, type TestSeries, testSeries, writeTestBlock } from '../../tsdb/block/testing/index.js';

/** What the tests of blocks in buckets share: a block with something of everything, and questions to it. */

const STEP_MS = 15_000;
/** Times of samples lie in T .. T + SPAN_MS. */
export const SPAN_MS = 60 * STEP_MS;

/** A metric with many instances, some with few, labels that are absent, long values, and one series with many chunks. */
function seriesOf(random: Prng): TestSeries[] {
  const all: TestSeries[] = [];
  const pad = (i: number): string => String(i).padStart(4, '0');
  for (let i = 0; i < 400; i++) {
    const labels = { __name__: 'm', host: `host-${pad(i)}`, ...(i % 3 === 0 ? { zone: `z${i % 5}` } : {}) };
    all.push(testSeries(labels, rampOf(random, 1 + (i % 9) * 4), 4));
  }
  for (let i = 0; i < 40; i++)
    all.push(testSeries({ __name__: `n${pad(i)}`, job: 'api' }, rampOf(random, 8)));
  all.push(testSeries({ __name__: 'o', job: 'db', long: 'x'.repeat(700) }, rampOf(random, 60), 1));
  all.push(testSeries({ __name__: 'up', job: 'api' }, rampOf(random, 60), 30));
  all.push(testSeries({ __name__: 'up', job: 'api', zone: 'z1' }, rampOf(random, 60), 60));
  return all;
}

function rampOf(random: Prng, count: number): [number, number][] {
  const first = random.nextInt(60 - count + 1);
  return Array.from({ length: count }, (_, i) => [T + (first + i) * STEP_MS, random.nextInt(1000)]);
}

/** Writes such a block below a folder, its chunks in several segments, and tells its name. */
export function writeSampleBlock(folder: string, random: Prng): string {
  return writeTestBlock(folder, seriesOf(random), {
    minTime: T,
    maxTime: T + SPAN_MS,
    segmentBytesMax: 9000,
  }).ulid;
}

/** Stores the objects of a local block in a bucket. */
export async function uploadBlock(bucket: Bucket, directory: string, base: string): Promise<void> {
  for (const name of readdirSync(join(directory, 'chunks'))) {
    await bucket.put(`${base}/chunks/${name}`, { path: join(directory, 'chunks', name) });
  }
  await bucket.put(`${base}/index`, { path: join(directory, 'index') });
  await bucket.put(`${base}/meta.json`, { path: join(directory, 'meta.json') });
}

const NAMES = ['__name__', 'host', 'job', 'zone', 'long', 'absent'];
const VALUES = [
  ...['', 'm', 'up', 'api', 'db', 'z1', 'host-0007', 'x', 'm|up', 'host-0001|host-0300|none', '.*', '.+'],
  ...['host-00.*', '.*7', 'n00[0-9]*', 'z[12]', 'a.*|', 'x+', 'n.*|m'],
];
const TYPES: readonly MatchType[] = ['=', '!=', '=~', '!~'];

/** One to three matchers of any kind. */
export function randomMatchers(random: Prng): Matcher[] {
  return Array.from({ length: 1 + random.nextInt(3) }, () =>
    createMatcher(pick(random, TYPES), pick(random, NAMES), pick(random, VALUES)),
  );
}

function pick<Item>(random: Prng, items: readonly Item[]): Item {
  return items[random.nextInt(items.length)]!;
}

export function randomHints(random: Prng): SelectHints {
  const from = T + random.nextInt(Math.floor(SPAN_MS * 1.2)) - SPAN_MS * 0.1;
  return {
    minTimeMs: from,
    maxTimeMs: from + random.nextInt(random.nextInt(2) === 0 ? STEP_MS : SPAN_MS),
    stepMs: 0,
    func: '',
    rangeMs: 0,
    withoutChunks: random.nextInt(8) === 0,
    limit: random.nextInt(4) === 0 ? random.nextInt(20) : 0,
  };
}

/** Everything a select says, chunk bytes included, as comparable data. */
export async function selectAll(
  source: Queryable,
  matchers: readonly Matcher[],
  hints: SelectHints,
): Promise<unknown> {
  const arena = new ArrayArena();
  const set = await source.select(matchers, hints, arena);
  const memory = arena.bytes();
  return {
    seriesCount: set.seriesCount,
    labelOffsets: [...set.labelOffsets],
    labels: Array.from(set.labels, (id) => set.symbols.text(id)),
    chunkOffsets: [...set.chunkOffsets],
    chunks: Array.from(set.chunkAddresses, (address, i) =>
      Buffer.from(memory.subarray(address, address + set.chunkByteLengths[i]!)).toString('hex'),
    ),
    encodings: [...set.chunkEncodings],
    minTimes: [...set.chunkMinTimes],
    maxTimes: [...set.chunkMaxTimes],
  };
}

/** What the lookups of labels and series say to the same question. */
export async function lookUpAll(source: Queryable, query: LabelQuery): Promise<unknown> {
  return {
    names: await source.labelNames(query),
    hosts: await source.labelValues('host', query),
    zones: await source.labelValues('zone', query),
    series: await source.series(query),
  };
}
