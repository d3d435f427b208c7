import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { codecKernel } from '../../kernel/index.js';
import { createMatcher, type Matcher } from '../../matcher/index.js';
import { SeededPrng } from '../../prng/index.js';
import { ArrayArena } from '../../storage/index.js';
import {
  BlockQueryable,
  BlockReader,
  type DeletionMask,
  readBlockMeta,
  verifyBlock,
} from '../block/index.js';
import { AGGREGATE, decodeAggregateChunk, ENCODING } from '../chunk/index.js';
import { downsampleBlocks, PlainAggregateWriter } from '../downsample/index.js';
import { compactBlocks } from './compact-blocks.js';
import {
  type Content,
  float,
  type ModelSeries,
  readChunks,
  readContent,
  writeModelBlock,
} from './testing/model-blocks.js';

/** A multiple of a day. */
const T = 1_699_920_000_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-masks-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const SELECTORS: readonly (readonly Matcher[])[] = [
  [createMatcher('=', 'pod', 'p1')],
  [createMatcher('=~', 'pod', 'p[0-2]')],
  [createMatcher('!=', 'pod', 'p3')],
  [createMatcher('=', 'zone', ''), createMatcher('=~', 'pod', '.+[13]')],
  [createMatcher('=', 'pod', 'nobody')],
];

/** The content of a block as a query with masks sees it. */
async function readMasked(directory: string, masks: readonly DeletionMask[]): Promise<Content> {
  const block = BlockReader.open(directory);
  const arena = new ArrayArena();
  const hints = {
    ...{ minTimeMs: 0, maxTimeMs: 8.64e15, stepMs: 0, rangeMs: 0, limit: 0, func: '', withoutChunks: false },
  };
  const set = await new BlockQueryable(block, { masks }).select([], hints, arena);
  const content: Content = new Map();
  for (let i = 0; i < set.seriesCount; i++) {
    const labels: string[] = [];
    for (let at = set.labelOffsets[i]!; at < set.labelOffsets[i + 1]!; at += 2) {
      labels.push(`${set.symbols.text(set.labels[at]!)}="${set.symbols.text(set.labels[at + 1]!)}"`);
    }
    const samples = new Map<number, string>();
    for (let c = set.chunkOffsets[i]!; c < set.chunkOffsets[i + 1]!; c++) {
      const address = set.chunkAddresses[c]!;
      const [times, values] = decode(arena.bytes().slice(address, address + set.chunkByteLengths[c]!));
      times.forEach((time, k) => void samples.set(time, String(values[k])));
    }
    if (samples.size > 0) content.set(`{${labels.join(', ')}}`, samples);
  }
  block.close();
  return content;
}

function decode(data: Uint8Array): [number[], number[]] {
  const count = (data[0]! << 8) | data[1]!;
  const times = new Float64Array(count);
  const values = new Float64Array(count);
  codecKernel().decodeXorInto(data, times, values);
  return [[...times], [...values]];
}

function modelOf(series: readonly ModelSeries[], masks: readonly DeletionMask[]): Content {
  const content: Content = new Map();
  for (const { labels, samples } of series) {
    const left = samples.filter(
      ({ time }) =>
        !masks.some(
          ({ matchers, minTime, maxTime }) =>
            time >= minTime &&
            time <= maxTime &&
            matchers.every((one) => one.matches(labels[one.name] ?? '')),
        ),
    );
    const key = Object.entries(labels)
      .map(([name, value]) => `${name}="${value}"`)
      .join(', ');
    if (left.length > 0) {
      content.set(`{${key}}`, new Map(left.map(({ time, value }) => [time, textOf(value as bigint)])));
    }
  }
  return content;
}

function textOf(bits: bigint): string {
  return String(new Float64Array(BigUint64Array.of(bits).buffer)[0]);
}

function asSorted(content: Content): [string, [number, string][]][] {
  const series: [string, [number, string][]][] = [...content].map(([key, samples]) => [
    key,
    [...samples].sort(([a], [b]) => a - b),
  ]);
  return series.sort(([a], [b]) => (a < b ? -1 : 1));
}

describe('masks on raw blocks', () => {
  test('read through masks, written anew, and a filter of all samples give the same', async () => {
    const random = new SeededPrng(17);
    for (let round = 0; round < 25; round++) {
      const parent = join(folder, String(round));
      mkdirSync(parent);
      const all: ModelSeries[] = Array.from({ length: 6 }, (_, i) => ({
        labels: { __name__: 'm', pod: `p${i}`, ...(i % 2 === 0 ? { zone: 'z' } : {}) },
        samples: Array.from({ length: 300 }, (_, k) => float(T + k * MINUTE, random.nextInt(1000))).filter(
          () => random.nextInt(10) > 0,
        ),
      }));
      const masks = Array.from({ length: 1 + random.nextInt(3) }, (): DeletionMask => {
        const minTime = T + (random.nextInt(400) - 50) * MINUTE;
        const maxTime = minTime + random.nextInt(200) * MINUTE;
        return { matchers: SELECTORS[random.nextInt(SELECTORS.length)]!, minTime, maxTime };
      });
      // Two blocks that overlap: the first has what is even, the second the last half of everything.
      const parts = [
        all.map((one) => ({ ...one, samples: one.samples.slice(0, 200) })),
        all.map((one) => ({ ...one, samples: one.samples.slice(150) })),
      ];
      const names = parts.map((part) => join(parent, writeModelBlock(parent, part, 40).ulid));
      const wanted = asSorted(modelOf(all, masks));
      const seen: Content = new Map();
      for (const name of names) {
        for (const [key, samples] of await readMasked(name, masks)) {
          seen.set(key, new Map([...(seen.get(key) ?? []), ...samples]));
        }
      }
      expect(asSorted(seen)).toEqual(wanted);
      const merged = await compactBlocks(names, { directory: parent, masks });
      if (merged.meta === null) {
        expect(wanted).toEqual([]);
        continue;
      }
      const result = join(parent, merged.meta.ulid);
      verifyBlock(result);
      expect(asSorted(numbersOf(readContent(result)))).toEqual(wanted);
      // One block alone.
      const { meta } = await compactBlocks([names[0]!], { directory: parent, masks });
      const single = asSorted(modelOf(parts[0]!, masks));
      if (meta === null) expect(single).toEqual([]);
      else {
        expect(asSorted(numbersOf(readContent(join(parent, meta.ulid))))).toEqual(single);
        const source = readBlockMeta(names[0]!);
        expect([meta.compaction.level, meta.compaction.sources, meta.minTime, meta.maxTime]).toEqual([
          source.compaction.level + 1,
          source.compaction.sources,
          source.minTime,
          source.maxTime,
        ]);
      }
    }
  }, 60_000);
});

/** Bits of floats as numbers print. */
function numbersOf(content: Content): Content {
  return new Map(
    [...content].map(([key, samples]) => [
      key,
      new Map([...samples].map(([time, text]) => [time, textOf(BigInt(`0x${text}`))])),
    ]),
  );
}

describe('masks on downsampled blocks', () => {
  /** A counter that grows by 1 a minute and is reset at the given minutes. */
  function level(resets: readonly number[] = []): string {
    let value = 100;
    const samples = Array.from({ length: 1500 }, (_, i) => {
      value = resets.includes(i) ? 0 : value + 1;
      return float(T + i * MINUTE, value);
    });
    const raw = writeModelBlock(folder, [
      { labels: { __name__: 'm', pod: 'p1' }, samples },
      { labels: { __name__: 'm', pod: 'p9' }, samples },
    ]);
    const meta = downsampleBlocks([join(folder, raw.ulid)], { parentDirectory: folder });
    return join(folder, meta!.ulid);
  }

  const mask = (from: number, to: number): DeletionMask => ({
    matchers: SELECTORS[0]!,
    minTime: T + from,
    maxTime: T + to,
  });

  /** Window ends by series. */
  function windows(directory: string): Map<string, number[]> {
    return new Map(
      [...readChunks(directory)].map(([key, chunks]) => [
        key,
        chunks.flatMap(({ encoding, data }) => {
          expect(encoding).toBe(ENCODING.aggregate);
          return decode(decodeAggregateChunk(data)[AGGREGATE.count]!.data)[0];
        }),
      ]),
    );
  }

  async function rewritten(directory: string, masks: readonly DeletionMask[]): Promise<string | null> {
    const { meta } = await compactBlocks([directory], { directory: folder, masks });
    return meta === null ? null : join(folder, meta.ulid);
  }

  const P1 = '{__name__="m", pod="p1"}';
  const P9 = '{__name__="m", pod="p9"}';

  test.each([
    ['a sample', 30 * MINUTE, 30 * MINUTE],
    ['the end of a window and the begin of the next', 5 * MINUTE - 1, 5 * MINUTE],
    ['one window to the millisecond', 5 * MINUTE, 10 * MINUTE - 1],
    ['the begin', -HOUR, 4 * HOUR],
    ['the end', 20 * HOUR, 40 * HOUR],
    ['the last window, which is not whole', 1499 * MINUTE, 1499 * MINUTE],
    ['nothing', 30 * HOUR, 40 * HOUR],
  ])('take every window that a span touches: %s', async (_name, from, to) => {
    const source = level();
    const before = windows(source);
    const result = await rewritten(source, [mask(from, to)]);
    verifyBlock(result!);
    const after = windows(result!);
    expect(after.get(P9)).toEqual(before.get(P9));
    const wanted = before.get(P1)!.filter((end) => {
      const begin = end - (end % (5 * MINUTE));
      return end < T + from || begin > T + to;
    });
    expect(after.get(P1)).toEqual(wanted);
    const { stats } = readBlockMeta(result!);
    expect(stats.numSamples).toBe(wanted.length + before.get(P9)!.length);
    // A query hides the same.
    const block = BlockReader.open(source);
    const writer = new PlainAggregateWriter();
    const query = new BlockQueryable(block, {
      masks: [mask(from, to)],
      convert: (encoding, data, minTime, maxTime) => writer.write('count', encoding, data, minTime, maxTime),
    });
    const arena = new ArrayArena();
    const hints = {
      ...{
        minTimeMs: 0,
        maxTimeMs: 8.64e15,
        stepMs: 0,
        rangeMs: 0,
        limit: 0,
        func: '',
        withoutChunks: false,
      },
    };
    const set = await query.select(SELECTORS[0]!, hints, arena);
    const seen: number[] = [];
    for (let c = 0; c < set.chunkAddresses.length; c++) {
      const at = set.chunkAddresses[c]!;
      seen.push(...decode(arena.bytes().slice(at, at + set.chunkByteLengths[c]!))[0]);
    }
    expect(seen).toEqual(wanted);
    block.close();
  });

  test('leave no chunk of a series that is hidden as a whole', async () => {
    const result = await rewritten(level(), [mask(0, 25 * HOUR)]);
    expect([...windows(result!).keys()]).toEqual([P9]);
    const both = [mask(0, 25 * HOUR), { ...mask(0, 25 * HOUR), matchers: [createMatcher('=', 'pod', 'p9')] }];
    expect(await rewritten(level(), both)).toBeNull();
  });

  test.each([
    ['without a reset', []],
    ['with a reset before the hole', [100]],
    ['with a reset behind the hole', [1400]],
  ])('the counter goes on to a true value before the hole, %s', async (_name, resets) => {
    const result = await rewritten(level(resets), [mask(5 * HOUR, 9 * HOUR)]);
    const chunks = readChunks(result!).get(P1)!;
    const ends = chunks.map(({ data }) => {
      const [times, values] = decode(decodeAggregateChunk(data)[AGGREGATE.counter]!.data);
      expect(times.at(-1)).toBe(times.at(-2));
      return [times.at(-1)!, values.at(-1)!];
    });
    const rawValue = (time: number) => {
      const minute = Math.floor((time - T) / MINUTE);
      const reset = resets.filter((one) => one <= minute).at(-1);
      return reset === undefined ? 101 + minute : minute - reset;
    };
    for (const [time, value] of ends) expect([time, value]).toEqual([time, rawValue(time!)]);
  });
});
