import { describe, expect, test } from '@jest/globals';
import { SeededPrng } from '../prng/index.js';
import { CodecKernel } from './codec.js';
import { AGGREGATION, QueryKernel, RANGE_FUNCTION } from './query.js';

// What the kernel does for several windows, values or series at once must come out bit by bit as one by one. Plain
// definitions stand here; values are of all sorts, and mostly regular, as otherwise the short cuts are not taken.

const kernel = new QueryKernel(64 * 1024 * 1024);
const codec = new CodecKernel();
const bits = new DataView(new ArrayBuffer(8));

/** The bits of a float; NaNs are all one. */
function bitsOf(value: number): bigint {
  bits.setFloat64(0, value);
  return Number.isNaN(value) ? 0x7ff8000000000000n : bits.getBigUint64(0);
}

/** A sum as Neumaier adds. */
function add(sum: { s: number; c: number }, x: number): void {
  const t = sum.s + x;
  if (!Number.isFinite(t) && !Number.isNaN(t)) sum.c = 0;
  else if (Math.abs(sum.s) >= Math.abs(x)) sum.c += sum.s - t + x;
  else sum.c += x - t + sum.s;
  sum.s = t;
}

function sumOf(values: readonly number[]): number {
  const sum = { s: 0, c: 0 };
  for (const x of values) add(sum, x);
  return Number.isFinite(sum.s) || Number.isNaN(sum.s) ? sum.s + sum.c : sum.s;
}

function extremeOf(values: readonly number[], isBetter: (a: number, b: number) => boolean): number {
  let best = values[0]!;
  for (const x of values) if (isBetter(x, best) || Number.isNaN(best)) best = x;
  return best;
}

/** A mean as a sum, or from where that overflows as a running mean. */
function meanFrom([first, ...rest]: readonly number[]): number {
  const sum = { s: first!, c: 0 };
  let n = 1;
  let isMean = false;
  for (const value of rest) {
    let x = value;
    n++;
    if (!isMean && Math.abs(sum.s + x) === Number.POSITIVE_INFINITY) {
      isMean = true;
      sum.s /= n - 1;
      sum.c /= n - 1;
    }
    if (isMean) {
      const q = (n - 1) / n;
      x /= n;
      sum.s *= q;
      sum.c *= q;
    }
    add(sum, x);
  }
  return isMean ? sum.s + sum.c : sum.s / n + sum.c / n;
}

const WINDOW = {
  sum_over_time: sumOf,
  avg_over_time: meanFrom,
  max_over_time: (values: readonly number[]) => extremeOf(values, (a, b) => a > b),
  min_over_time: (values: readonly number[]) => extremeOf(values, (a, b) => a < b),
};

const SHAPES: Readonly<Record<string, (prng: SeededPrng, i: number) => number>> = {
  'alike values': (prng) => 100 + prng.nextFloat() * 50,
  'values of both signs': (prng) => (prng.nextFloat() - 0.5) * 10 ** prng.nextInt(20),
  'whole numbers': (prng) => prng.nextInt(1000),
  'zeros of both signs': (prng) => [0, -0, 0, -0, -1][prng.nextInt(5)]!,
  'now and then not a number': (prng) => (prng.nextInt(40) === 0 ? Number.NaN : prng.nextFloat()),
  'now and then infinite': (prng) =>
    prng.nextInt(60) === 0 ? (prng.nextInt(2) - 0.5) * Number.POSITIVE_INFINITY : prng.nextFloat(),
  'huge values': (prng) => (prng.nextFloat() - 0.4) * Number.MAX_VALUE,
};

interface TestSeries {
  readonly times: Float64Array;
  readonly values: Float64Array;
}

const STEP_MS = 1000;

function makeSeries(prng: SeededPrng, shape: keyof typeof SHAPES, times: Float64Array): TestSeries {
  return { times, values: times.map((_, i) => SHAPES[shape]!(prng, i)) };
}

/** Regular times, or with a shift, or with samples left out. */
function makeTimes(prng: SeededPrng, count: number): Float64Array {
  const shift = prng.nextInt(3) * 100;
  const isThin = prng.nextInt(3) === 0;
  return Float64Array.from({ length: count }, (_, i) => shift + i * STEP_MS).filter(
    () => !isThin || prng.nextInt(5) > 0,
  );
}

/** Rows of a range function over all series in one call, in chunks of 120 samples. */
function evaluate(
  fn: keyof typeof RANGE_FUNCTION,
  all: readonly TestSeries[],
  rangeMs: number,
  steps: number,
) {
  kernel.reset();
  const most = Math.max(...all.map(({ times }) => times.length));
  const capacity = Math.max(1024, most * 2);
  const columns = kernel.reserve(capacity * 36);
  const windows = kernel.reserve(steps * 8);
  const chunks = all.flatMap(({ times, values }, series) =>
    Array.from({ length: Math.ceil(times.length / 120) }, (_, c) => {
      const part = times.subarray(c * 120, (c + 1) * 120);
      const bytes = codec.encodeXor(part, values.subarray(c * 120, (c + 1) * 120), part.length).slice();
      const address = kernel.reserve(bytes.length);
      kernel.u8.set(bytes, address);
      return { series, address, length: bytes.length, minTime: part[0]!, maxTime: part.at(-1)! };
    }),
  );
  const words = (numbers: readonly number[]): number => {
    const address = kernel.reserve(numbers.length * 4);
    kernel.u32.set(numbers, address / 4);
    return address;
  };
  const floats = (numbers: readonly number[]): number => {
    const address = kernel.reserve(numbers.length * 8);
    kernel.f64.set(numbers, address / 8);
    return address;
  };
  const offsets = words([0, ...all.map((_, i) => chunks.filter(({ series }) => series <= i).length)]);
  const { functions } = kernel;
  const table = [
    words(chunks.map(({ address }) => address)),
    words(chunks.map(({ length }) => length)),
    floats(chunks.map(({ minTime }) => minTime)),
    floats(chunks.map(({ maxTime }) => maxTime)),
  ] as const;
  const rows = kernel.reserve(all.length * steps * 8);
  const present = kernel.reserve(all.length * steps);
  functions.queryColumns(columns, capacity);
  functions.queryChunkTable(...table);
  functions.querySteps(windows, 5000, STEP_MS, steps);
  const code = functions.queryRangeBlock(
    RANGE_FUNCTION[fn],
    0,
    offsets,
    0,
    all.length,
    -1e9,
    1e12,
    rangeMs,
    rows,
    present,
  );
  expect(code).toBeGreaterThanOrEqual(0);
  return all.map((_, i) =>
    Array.from({ length: steps }, (_, k) => {
      const at = i * steps + k;
      return kernel.u8[present + at] === 0 ? null : bitsOf(kernel.f64[rows / 8 + at]!);
    }),
  );
}

describe('windows of one series', () => {
  test.each(Object.keys(SHAPES))('of %s are what they are one by one', (shape) => {
    const prng = new SeededPrng(99);
    for (let round = 0; round < 12; round++) {
      const series = makeSeries(prng, shape, makeTimes(prng, 1 + prng.nextInt(400)));
      const rangeMs = STEP_MS * [1, 2, 5, 20, 40, 64, 150, 2000][prng.nextInt(8)]!;
      for (const [fn, define] of Object.entries(WINDOW)) {
        const [row] = evaluate(fn as keyof typeof WINDOW, [series], rangeMs, 150);
        const expected = Array.from({ length: 150 }, (_, k) => {
          const end = 5000 + k * STEP_MS;
          const inside = [...series.values].filter(
            (_, i) => series.times[i]! > end - rangeMs && series.times[i]! <= end,
          );
          return inside.length === 0 ? null : bitsOf(define(inside));
        });
        expect({ fn, rangeMs, row }).toEqual({ fn, rangeMs, row: expected });
      }
    }
  });
});

describe('series one after the other', () => {
  test('with the same times or others, stale markers or none, are what each is alone', () => {
    const prng = new SeededPrng(7);
    const stale = new Float64Array(BigUint64Array.of(0x7ff0000000000002n).buffer)[0]!;
    for (let round = 0; round < 20; round++) {
      let times = makeTimes(prng, 300);
      const all = Array.from({ length: 12 }, () => {
        if (prng.nextInt(3) === 0) times = makeTimes(prng, 200 + prng.nextInt(100));
        const series = makeSeries(prng, 'whole numbers', times);
        if (prng.nextInt(4) === 0) series.values[prng.nextInt(series.values.length)] = stale;
        return series;
      });
      for (const fn of ['rate', 'increase', 'delta', 'sum_over_time', 'count_over_time'] as const) {
        const together = evaluate(fn, all, 20_000, 120);
        expect(together).toEqual(all.flatMap((series) => evaluate(fn, [series], 20_000, 120)));
      }
    }
  });
});

describe('aggregations of a block', () => {
  test.each(Object.keys(SHAPES))('of %s are what they are element by element', (shape) => {
    const prng = new SeededPrng(3);
    const steps = 45;
    for (let round = 0; round < 10; round++) {
      const series = 30;
      const groupOf = Array.from({ length: series }, () => prng.nextInt(3));
      const holes = prng.nextInt(4);
      const values = Float64Array.from({ length: series * steps }, (_, i) => SHAPES[shape]!(prng, i));
      const present = Uint8Array.from({ length: series * steps }, () => Number(prng.nextInt(12) >= holes));
      for (const op of ['sum', 'count', 'min', 'max', 'avg'] as const) {
        const found = aggregate(AGGREGATION[op], values, present, groupOf, steps);
        const expected = Array.from({ length: 3 * steps }, (_, at) => {
          const inside = groupOf.flatMap((group, i) => {
            const element = i * steps + (at % steps);
            return group === Math.floor(at / steps) && present[element] === 1 ? [values[element]!] : [];
          });
          if (inside.length === 0) return null;
          if (op === 'count') return bitsOf(inside.length);
          if (op === 'sum') return bitsOf(sumFrom(inside));
          if (op === 'avg') return bitsOf(meanFrom(inside));
          return bitsOf(WINDOW[`${op}_over_time`](inside));
        });
        expect({ op, found }).toEqual({ op, found: expected });
      }
    }
  });

  /** As `sumOf`, beginning with the first value itself. */
  function sumFrom([first, ...rest]: readonly number[]): number {
    const sum = { s: first!, c: 0 };
    for (const x of rest) add(sum, x);
    return Number.isFinite(sum.s) || Number.isNaN(sum.s) ? sum.s + sum.c : sum.s;
  }

  function aggregate(
    op: number,
    values: Float64Array,
    present: Uint8Array,
    groupOf: readonly number[],
    steps: number,
  ): (bigint | null)[] {
    kernel.reset();
    const rows = kernel.reserve(values.byteLength);
    const flagsIn = kernel.reserve(present.length);
    const groups = kernel.reserve(groupOf.length * 4);
    const total = 3 * steps;
    const [part1, part2, part3] = [0, 1, 2].map(() => kernel.reserve(total * 8));
    const flags = kernel.reserveZeroed(total);
    const windows = kernel.reserve(steps * 8);
    kernel.f64.set(values, rows / 8);
    kernel.u8.set(present, flagsIn);
    kernel.u32.set(groupOf, groups / 4);
    const { functions } = kernel;
    functions.querySteps(windows, 0, STEP_MS, steps);
    functions.queryAggregateBlock(
      op,
      groupOf.length,
      steps,
      rows,
      flagsIn,
      groups,
      part1!,
      part2!,
      part3!,
      flags,
    );
    functions.queryAggregateFinish(op, total, part1!, part2!, part3!, flags);
    return Array.from({ length: total }, (_, i) =>
      kernel.u8[flags + i] === 0 ? null : bitsOf(kernel.f64[part1! / 8 + i]!),
    );
  }
});
