import { describe, expect, test } from '@jest/globals';
import {
  FloatHistogram,
  formatHistogram,
  HistogramLayout,
  RESET_HINT,
  type ResetHint,
} from '../../histogram/index.js';
import {
  decodeAggregateChunk,
  ENCODING,
  HistogramAppender,
  HistogramDecoder,
  histogramAt,
} from '../chunk/index.js';
import { RESOLUTION } from './levels.js';
import { PlainAggregateWriter } from './plain-aggregate.js';
import { SeriesDownsampler } from './series-downsampler.js';
import { load, type Sample, samplesOf, xorChunk } from './testing/model.js';

const T = 1_699_920_000_000;
const raw = new SeriesDownsampler(0, RESOLUTION.fiveMinutes);
const hours = new SeriesDownsampler(RESOLUTION.fiveMinutes, RESOLUTION.hour);
const decoder = new HistogramDecoder();
const NONE = new Int32Array(0);

function exponential(schema: number, zeroThreshold = 0): HistogramLayout {
  return HistogramLayout.ofIndexes(schema, zeroThreshold, Int32Array.of(1, 2, 5), NONE);
}

function custom(...bounds: number[]): HistogramLayout {
  const indexes = Int32Array.from({ length: bounds.length + 1 }, (_, i) => i);
  return HistogramLayout.ofIndexes(-53, 0, indexes, NONE, Float64Array.from(bounds));
}

/** A histogram with n observations in each bucket. */
function histogram(
  layout: HistogramLayout,
  n: number,
  hint: ResetHint = RESET_HINT.unknown,
  sum = n,
): FloatHistogram {
  const buckets = layout.positiveCount;
  return new FloatHistogram(
    layout,
    Float64Array.of(n * buckets, 0, sum, ...new Array<number>(buckets).fill(n)),
    hint,
  );
}

/** Raw chunks of histograms, one a minute. */
function chunksOf(histograms: readonly FloatHistogram[]): { encoding: number; data: Uint8Array }[] {
  const appender = HistogramAppender.floats();
  const chunks: Uint8Array[] = [];
  histograms.forEach((one, i) => {
    const finished = appender.append(T + i * 60_000, one);
    if (finished !== null) chunks.push(finished);
  });
  chunks.push(appender.chunk()!);
  return chunks.map((data) => ({ encoding: ENCODING.floatHistogram, data }));
}

/** Each chunk: counts, then sums and counters as text. */
function read(made: readonly { data: Uint8Array }[]): unknown[] {
  return made.map(({ data }) => {
    const [count, sum, min, max, counter] = decodeAggregateChunk(data);
    expect([min, max]).toEqual([null, null]);
    const texts = [sum, counter].map((inner) => {
      const columns = decoder.decode(inner!.encoding, inner!.data);
      return Array.from(
        { length: columns.sampleCount },
        (_, i) => `${columns.timestamps[i]! - T} ${formatHistogram(histogramAt(columns, i))}`,
      );
    });
    return [samplesOf(count!.data).map(([t, v]): Sample => [t - T, v]), ...texts];
  });
}

describe('histograms', () => {
  test('are added up per window, and the counter goes over resets', () => {
    const rising = [1, 2, 3, 1, 2, 4].map((n) => histogram(exponential(0), n));
    expect(read(raw.downsample(load(raw, chunksOf(rising))))).toEqual([
      [
        [
          [299_999, 5],
          [300_000, 1],
        ],
        [
          '299999 {count:27, sum:9, (1,2]:9, (2,4]:9, (16,32]:9}',
          '300000 {count:12, sum:4, (1,2]:4, (2,4]:4, (16,32]:4}',
        ],
        [
          '299999 {count:15, sum:5, (1,2]:5, (2,4]:5, (16,32]:5}',
          '300000 {count:21, sum:7, (1,2]:7, (2,4]:7, (16,32]:7}',
        ],
      ],
    ]);
  });

  test('of several schemas come to the coarsest', () => {
    const mixed = [histogram(exponential(1), 2), histogram(exponential(0), 3)];
    const [chunk] = read(raw.downsample(load(raw, chunksOf(mixed)))) as [unknown[]];
    expect(chunk![1]).toEqual(['60000 {count:15, sum:5, (1,2]:7, (2,4]:3, (4,8]:2, (16,32]:3}']);
  });

  test('with custom buckets are downsampled, apart where the bounds change', () => {
    const mixed = [custom(1, 2), custom(1, 2), custom(1, 3), custom(1, 3)].map((layout, i) =>
      histogram(layout, i + 1),
    );
    const made = raw.downsample(load(raw, chunksOf(mixed)));
    expect(read(made)).toEqual([
      [
        [[60_000, 2]],
        ['60000 {count:9, sum:3, [-Inf,1]:3, (1,2]:3, (2,+Inf]:3}'],
        ['60000 {count:6, sum:2, [-Inf,1]:2, (1,2]:2, (2,+Inf]:2}'],
      ],
      [
        [[180_000, 2]],
        ['180000 {count:21, sum:7, [-Inf,1]:7, (1,3]:7, (3,+Inf]:7}'],
        ['180000 {count:12, sum:4, [-Inf,1]:4, (1,3]:4, (3,+Inf]:4}'],
      ],
    ]);
    const loaded = load(
      hours,
      made.map((chunk) => ({ ...chunk, encoding: ENCODING.aggregate })),
    );
    expect(hours.downsample(loaded)).toHaveLength(2);
  });

  test('whose zero bucket grows are split into chunks that can hold them', () => {
    const wide = Array.from({ length: 12 }, (_, i) => histogram(exponential(0, i < 6 ? 0 : 0.5), i + 1));
    const made = raw.downsample(load(raw, chunksOf(wide)));
    expect(made.length).toBeGreaterThan(1);
    const counts = made.flatMap(({ data }) => samplesOf(decodeAggregateChunk(data)[0]!.data));
    expect(counts.reduce((sum, [, v]) => sum + v, 0)).toBe(12);
  });

  test('without a sum are left out, as are stale markers', () => {
    const list = [
      histogram(exponential(0), 1),
      histogram(exponential(0), 2, RESET_HINT.unknown, Number.NaN),
      histogram(exponential(0), 3),
    ];
    const [chunk] = read(raw.downsample(load(raw, chunksOf(list)))) as [unknown[]];
    expect(chunk![0]).toEqual([[120_000, 2]]);
  });

  test('that are gauges stay gauges', () => {
    const gauges = [3, 1, 2].map((n) => histogram(exponential(0), n, RESET_HINT.gauge));
    const [made] = raw.downsample(load(raw, chunksOf(gauges)));
    const [, sum, , , counter] = decodeAggregateChunk(made!.data);
    for (const inner of [sum, counter]) {
      expect(histogramAt(decoder.decode(inner!.encoding, inner!.data), 0).hint).toBe(RESET_HINT.gauge);
    }
  });

  test('and floats of one series get chunks of their own', () => {
    const floats = {
      encoding: ENCODING.xor,
      data: xorChunk([
        [T - 120_000, 1],
        [T - 60_000, 2],
      ]),
    };
    const made = raw.downsample(
      load(raw, [floats, ...chunksOf([1, 2].map((n) => histogram(exponential(0), n)))]),
    );
    const kinds = (chunks: readonly { data: Uint8Array }[]): unknown[] =>
      chunks.map(({ data }) => decodeAggregateChunk(data)[1]!.encoding);
    expect(kinds(made)).toEqual([ENCODING.xor, ENCODING.floatHistogram]);
    expect(kinds(hours.downsample(load(hours, made)))).toEqual([ENCODING.xor, ENCODING.floatHistogram]);
  });

  test('can be read as plain chunks', () => {
    const list = [1, 2, 3, 6].map((n) => histogram(exponential(0), n));
    const [made] = raw.downsample(load(raw, chunksOf(list)));
    const writer = new PlainAggregateWriter();
    const { data, minTime, maxTime } = made!;
    const texts = (['average', 'sum', 'counter'] as const).map((aggregate) => {
      const plain = writer.write(aggregate, ENCODING.aggregate, data, minTime, maxTime)!;
      return formatHistogram(histogramAt(decoder.decode(plain.encoding, plain.data), 0));
    });
    expect(texts).toEqual([
      '{count:9, sum:3, (1,2]:3, (2,4]:3, (16,32]:3}',
      '{count:36, sum:12, (1,2]:12, (2,4]:12, (16,32]:12}',
      '{count:18, sum:6, (1,2]:6, (2,4]:6, (16,32]:6}',
    ]);
    expect(samplesOf(writer.write('count', ENCODING.aggregate, data, minTime, maxTime)!.data)).toEqual([
      [T + 180_000, 4],
    ]);
    expect(writer.write('min', ENCODING.aggregate, data, minTime, maxTime)).toBeNull();
    const ones = writer.write('count', ENCODING.floatHistogram, chunksOf(list)[0]!.data, T, T + 180_000)!;
    expect(samplesOf(ones.data).map(([, v]) => v)).toEqual([1, 1, 1, 1]);
  });
});
