import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  equalHistograms,
  FloatHistogram,
  HistogramLayout,
  NO_SPANS,
  spansOf,
  VALUE,
} from '../../histogram/index.js';
import { labelsFromObject } from '../../labels/index.js';
import { CHUNK_ENCODING } from '../../storage/index.js';
import { encodeXor2 } from '../../tsdb/chunk/index.js';
import { encodeChunks, MemoryQueryable } from '../testing/index.js';
import { Annotations } from './annotations.js';
import { CounterSeries } from './counter-series.js';
import { extrapolated } from './counter-window.js';
import { createQueryEngine, type EngineOptions, type QueryValue } from './index.js';
import { SampleNotes } from './sample-notes.js';
import { SAMPLE, type SeriesSamples } from './series-samples.js';

const OPTIONS: EngineOptions = {
  lookbackMs: 300_000,
  evaluationIntervalMs: 60_000,
  samplesMax: 1_000_000,
  memoryBytesMax: 64 * 1024 * 1024,
  parser: {
    experimentalFunctions: true,
    extendedRangeSelectors: true,
    binopFillModifiers: true,
    durationExpressions: true,
  },
};

const layout = new HistogramLayout(0, 0.001, spansOf([0, 2], [1, 1]), spansOf([0, 1]));

function histogram(counts: readonly number[]): FloatHistogram {
  const values = new Float64Array(VALUE.buckets + 4);
  values.set(counts, VALUE.buckets);
  values[VALUE.count] = counts.reduce((sum, n) => sum + n, 0);
  values[VALUE.sum] = values[VALUE.count]! * 1.7;
  return new FloatHistogram(layout, values);
}

function samplesOf(times: Float64Array, histograms: FloatHistogram[]): SeriesSamples {
  const count = times.length;
  const kinds = new Uint8Array(count).fill(SAMPLE.histogram);
  return { count, times, kinds, values: new Float64Array(count), histograms, starts: null };
}

describe('rate over histograms', () => {
  test('of one layout is what it is in general', () => {
    const growth = fc.array(fc.integer({ min: -1, max: 5 }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(growth, { minLength: 2, maxLength: 12 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 60_000 }),
        (steps, isRate, gap) => {
          let counts = [3, 1, 0, 2];
          const histograms = steps.map((step) => {
            counts = counts.map((n, k) => Math.max(0, n + step[k]!));
            return histogram(counts);
          });
          const times = Float64Array.from(steps, (_, i) => i * 15_000);
          const series = new CounterSeries(samplesOf(times, histograms), false);
          const general = Object.assign(Object.create(CounterSeries.prototype), series, { isUniform: false });
          const window = { from: 0, to: steps.length, rangeStart: -gap, rangeEnd: times.at(-1)! + gap / 2 };
          const notes = new SampleNotes(new Annotations(''), { start: 0, end: 0 }, 'm');
          const kind = { isCounter: true, isRate };
          const fast = extrapolated(series, window, kind, notes) as FloatHistogram;
          const slow = extrapolated(general, window, kind, notes) as FloatHistogram;
          expect(equalHistograms(fast, slow)).toBe(true);
          expect(fast.hint).toBe(slow.hint);
        },
      ),
      { seed: 3, numRuns: 500 },
    );
  });

  test('leaves the samples as they are', () => {
    const histograms = [histogram([1, 1, 1, 1]), histogram([2, 3, 4, 5])];
    const before = histograms.map((h) => [...h.values]);
    const series = new CounterSeries(samplesOf(Float64Array.of(0, 15_000), histograms), false);
    const notes = new SampleNotes(new Annotations(''), { start: 0, end: 0 }, 'm');
    const window = { from: 0, to: 2, rangeStart: -1, rangeEnd: 15_000 };
    const result = extrapolated(series, window, { isCounter: true, isRate: true }, notes);
    expect((result as FloatHistogram).count).toBeGreaterThan(0);
    expect(histograms.map((h) => [...h.values])).toEqual(before);
  });

  test('notes a range of other buckets, and gives nothing', () => {
    const custom = new HistogramLayout(-53, 0, spansOf([0, 1]), NO_SPANS, Float64Array.of(1));
    const histograms = [histogram([1, 1, 1, 1]), new FloatHistogram(custom, Float64Array.of(9, 0, 9, 9))];
    const series = new CounterSeries(samplesOf(Float64Array.of(0, 15_000), histograms), false);
    const annotations = new Annotations('rate(m[1m])');
    const notes = new SampleNotes(annotations, { start: 5, end: 10 }, 'm');
    const window = { from: 0, to: 2, rangeStart: -1, rangeEnd: 15_000 };
    // A counter takes custom buckets after others for a reset.
    expect(extrapolated(series, window, { isCounter: false, isRate: false }, notes)).toBeNull();
    expect(annotations.listWarnings()).toEqual([
      'PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name "m" (1:6)',
    ]);
  });
});

describe('counters of floats with start times', () => {
  const labels = labelsFromObject({ __name__: 'm_total' });
  const COUNT = 100;

  /** The same samples without start times, and with a start time for each, all unknown. */
  function storages(values: Float64Array): [MemoryQueryable, MemoryQueryable] {
    const times = Float64Array.from({ length: COUNT }, (_, i) => i * 15_000 + (i % 7) * 300);
    const plain = new MemoryQueryable();
    plain.appendChunks(labels, encodeChunks(times, values));
    const started = new MemoryQueryable();
    const bytes = encodeXor2(times, values, new Float64Array(COUNT));
    const chunk = { bytes, minTimeMs: 0, maxTimeMs: times.at(-1)!, encoding: CHUNK_ENCODING.xor2 };
    started.appendChunks(labels, [chunk]);
    return [plain, started];
  }

  test.each(['rate', 'increase', 'irate', 'resets', 'delta', 'sum_over_time'])(
    '%s is the same when none is known',
    async (func) => {
      const values = Float64Array.from(
        { length: COUNT },
        (_, i) => ((i * 37) % 500) / 3 + (i > 40 ? 100 : 0),
      );
      const engine = createQueryEngine({ ...OPTIONS, startTimestamps: true });
      const request = {
        query: `${func}(m_total[3m])`,
        startMs: 0,
        endMs: 1_800_000,
        stepMs: 20_000,
        lookbackMs: 0,
        limit: 0,
      };
      const answers = [];
      for (const storage of storages(values)) {
        const { value } = await engine.execute(request, storage, () => false, Infinity);
        const [series] = (value as Extract<QueryValue, { type: 'matrix' }>).series;
        answers.push(Array.from(series!.values, (x, k) => (series!.present[k] === 1 ? x : null)));
      }
      expect(answers[1]).toEqual(answers[0]);
    },
  );
});
