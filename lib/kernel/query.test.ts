import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AGGREGATION, QueryKernel, RANGE_FUNCTION } from './query.js';

// The kernel's range functions over rows (the subquery entry) against plain definitions, on random samples: the window
// bookkeeping, the deque of long windows, quickselect and prefix counts are all on that path.

const kernel = new QueryKernel(64 * 1024 * 1024);

interface Sample {
  t: number;
  v: number;
}

/** Runs one range function over samples on a 1 s raster; NaN-present results as null. */
function evaluate(
  fn: keyof typeof RANGE_FUNCTION,
  raster: readonly (number | null)[],
  steps: { start: number; step: number; count: number },
  range: number,
  argument = 0,
): (number | null)[] {
  kernel.reset();
  const { functions } = kernel;
  const points = raster.length;
  const columns = kernel.reserve(points * 36);
  const work = kernel.reserve(points * 8);
  const windows = kernel.reserve(steps.count * 8);
  const args = kernel.reserve(steps.count * 8);
  const source = kernel.reserve(points * 8);
  const sourcePresent = kernel.reserve(points);
  const rows = kernel.reserve(steps.count * 8);
  const present = kernel.reserve(steps.count);
  raster.forEach((value, i) => {
    kernel.f64[source / 8 + i] = value ?? 0;
    kernel.u8[sourcePresent + i] = value === null ? 0 : 1;
  });
  kernel.f64.fill(argument, args / 8, args / 8 + steps.count);
  functions.queryColumns(columns, points);
  functions.querySteps(windows, steps.start, steps.step, steps.count);
  functions.queryArguments(args, args, work, steps.start, steps.step, 0);
  const code = functions.queryRangeOverRows(
    RANGE_FUNCTION[fn],
    1,
    range,
    source,
    sourcePresent,
    points,
    0,
    1000,
    rows,
    present,
  );
  expect(code).toBeGreaterThanOrEqual(0);
  return Array.from({ length: steps.count }, (_, k) =>
    kernel.u8[present + k] === 0 ? null : kernel.f64[rows / 8 + k]!,
  );
}

function windowsOf(
  raster: readonly (number | null)[],
  steps: { start: number; step: number; count: number },
  range: number,
): Sample[][] {
  const samples = raster.flatMap((v, i) => (v === null ? [] : [{ t: i * 1000, v }]));
  return Array.from({ length: steps.count }, (_, k) => {
    const end = steps.start + k * steps.step;
    return samples.filter(({ t }) => t > end - range && t <= end);
  });
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) =>
    Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(b)) - Number(Number.isNaN(a)) : a - b,
  );
  const rank = q * (sorted.length - 1);
  const lower = Math.floor(rank);
  const upper = Math.min(sorted.length - 1, lower + 1);
  const weight = rank - lower;
  return sorted[lower]! * (1 - weight) + sorted[upper]! * weight;
}

function increase(samples: readonly Sample[], range: number, end: number): number {
  const first = samples[0]!;
  const last = samples.at(-1)!;
  let result = last.v - first.v;
  for (let i = 1; i < samples.length; i++) if (samples[i]!.v < samples[i - 1]!.v) result += samples[i - 1]!.v;
  let toStart = (first.t - (end - range)) / 1000;
  let toEnd = (end - last.t) / 1000;
  const sampled = (last.t - first.t) / 1000;
  const average = sampled / (samples.length - 1);
  if (toStart >= average * 1.1) toStart = average / 2;
  if (result > 0 && first.v >= 0) toStart = Math.min(toStart, sampled * (first.v / result));
  if (toEnd >= average * 1.1) toEnd = average / 2;
  return result * ((sampled + toStart + toEnd) / sampled);
}

const value = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -20, max: 20 }) },
  { weight: 1, arbitrary: fc.double({ min: -1e9, max: 1e9, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, 0) },
);
const cases = fc.record({
  raster: fc.array(fc.option(value, { freq: 6 }), { minLength: 1, maxLength: 150 }),
  step: fc.integer({ min: 1, max: 20_000 }),
  range: fc.integer({ min: 500, max: 90_000 }),
  start: fc.integer({ min: 0, max: 30_000 }),
});

type Reference = (samples: Sample[], range: number, end: number) => number | null;

const REFERENCES: [keyof typeof RANGE_FUNCTION, number, Reference][] = [
  ['count_over_time', 0, (s) => s.length],
  ['last_over_time', 0, (s) => s.at(-1)!.v],
  ['first_over_time', 0, (s) => s[0]!.v],
  ['ts_of_last_over_time', 0, (s) => s.at(-1)!.t / 1000],
  ['max_over_time', 0, (s) => s.reduce((m, x) => (x.v > m || Number.isNaN(m) ? x.v : m), s[0]!.v)],
  ['min_over_time', 0, (s) => s.reduce((m, x) => (x.v < m || Number.isNaN(m) ? x.v : m), s[0]!.v)],
  [
    'ts_of_max_over_time',
    0,
    (s) => s.reduce((m, x) => (x.v >= m.v || Number.isNaN(m.v) ? x : m), s[0]!).t / 1000,
  ],
  [
    'ts_of_min_over_time',
    0,
    (s) => s.reduce((m, x) => (x.v <= m.v || Number.isNaN(m.v) ? x : m), s[0]!).t / 1000,
  ],
  [
    'quantile_over_time',
    0.37,
    (s) =>
      quantile(
        s.map((x) => x.v),
        0.37,
      ),
  ],
  [
    'changes',
    0,
    (s) =>
      s.filter((x, i) => i > 0 && x.v !== s[i - 1]!.v && !(Number.isNaN(x.v) && Number.isNaN(s[i - 1]!.v)))
        .length,
  ],
  ['resets', 0, (s) => s.filter((x, i) => i > 0 && x.v < s[i - 1]!.v).length],
  ['increase', 0, (s, range, end) => (s.length < 2 ? null : increase(s, range, end))],
];

describe('range functions', () => {
  test.each(REFERENCES)('%s agrees with its definition', (fn, argument, reference) => {
    fc.assert(
      fc.property(cases, ({ raster, step, range, start }) => {
        const steps = { start, step, count: 12 };
        const wanted = windowsOf(raster, steps, range).map((samples, k) =>
          samples.length === 0 ? null : reference(samples, range, start + k * step),
        );
        expect(evaluate(fn, raster, steps, range, argument)).toEqual(wanted);
      }),
      { seed: 20260801, numRuns: 150 },
    );
  });
});

test('sums lose nothing to cancellation', () => {
  kernel.reset();
  const { functions } = kernel;
  const rows = kernel.reserve(4 * 8);
  const present = kernel.reserve(4);
  const groups = kernel.reserveZeroed(4 * 4);
  const state = [0, 0, 0].map(() => kernel.reserve(8));
  const flags = kernel.reserveZeroed(1);
  kernel.f64.set([1, 1e100, 1, -1e100], rows / 8);
  kernel.u8.fill(1, present, present + 4);
  functions.queryAggregateBlock(
    AGGREGATION.sum,
    4,
    1,
    rows,
    present,
    groups,
    state[0]!,
    state[1]!,
    state[2]!,
    flags,
  );
  functions.queryAggregateFinish(AGGREGATION.sum, 1, state[0]!, state[1]!, state[2]!, flags);
  expect(kernel.f64[state[0]! / 8]).toBe(2);
});

describe('memory', () => {
  test('a query cannot reserve more than its budget', () => {
    const small = new QueryKernel(1024 * 1024);
    small.reserve(900_000);
    expect(() => small.reserve(200_000)).toThrow(expect.objectContaining({ code: 'query-memory-limit' }));
    small.reset();
    expect(small.usedBytes).toBe(0);
    expect(small.reserve(200_000)).toBe(16384);
  });

  test('views follow growth and a huge memory is dropped', () => {
    const big = new QueryKernel(1024 ** 3);
    const first = big.reserve(8);
    big.f64[first / 8] = 42;
    const far = big.reserve(300 * 1024 * 1024);
    big.u8[far + 300 * 1024 * 1024 - 1] = 7;
    expect(big.f64[first / 8]).toBe(42);
    expect(big.u8.length).toBeGreaterThan(300 * 1024 * 1024);
    big.reset();
    expect(big.u8.length).toBeLessThan(64 * 1024 * 1024);
  });

  test('reservations are aligned and leave room for decoders to over-read', () => {
    const one = kernel.mark();
    const a = kernel.reserve(3);
    const b = kernel.reserve(1);
    expect(a % 8).toBe(0);
    expect(b - a).toBeGreaterThanOrEqual(3 + 16);
    kernel.release(one);
    expect(kernel.reserve(3)).toBe(a);
  });
});

test.each(['sum_over_time', 'avg_over_time'] as const)(
  '%s gives each step what it gives that step alone',
  (fn) => {
    const wide = fc.oneof(
      { weight: 20, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
      { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, -0, 1.7e308, -1.7e308) },
    );
    const raster = fc.array(fc.option(fc.oneof(value, wide), { freq: 30 }), {
      minLength: 30,
      maxLength: 120,
    });
    fc.assert(
      fc.property(raster, fc.integer({ min: 500, max: 40_000 }), (samples, range) => {
        const steps = { start: 5000, step: 1000, count: 61 };
        const together = evaluate(fn, samples, steps, range);
        const alone = together.map(
          (_, k) => evaluate(fn, samples, { ...steps, start: steps.start + k * 1000, count: 1 }, range)[0],
        );
        expect(together).toEqual(alone);
      }),
      { seed: 11, numRuns: 100 },
    );
  },
);
