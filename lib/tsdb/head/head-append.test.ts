import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { codecKernel, SAMPLE_CODE } from '../../kernel/index.js';
import { bitsOf, type TestSample, type TestSeries } from '../../kernel/testing/write-request.js';
import { type DecodedSeries, newHead, push, samplesOf, selectAll } from './testing/head-fixture.js';

// A head is held against a model that keeps samples in plain maps and follows the rules as spec and documentation word
// them: outcome codes must be equal, and what a reader finds must be what the model accepted.

const RANGE = 7_200_000;
const T0 = 1_700_000_000_000;

interface ModelSeries {
  lastTime: bigint | null;
  lastBits: bigint;
  /** Bits that may be answered for a time: a late sample at the time of another leaves open which one wins. */
  readonly samples: Map<number, Set<bigint>>;
  /** In order, as they were appended. */
  readonly inOrder: { time: number; bits: bigint }[];
  /** The newest 32 late samples at most: among those, repeated ones are noticed. */
  late: Map<bigint, bigint>;
}

class Model {
  readonly series = new Map<string, ModelSeries>();
  readonly #windowMs: bigint;
  #maxTime: bigint | null = null;
  /** The newest time when the request began. */
  #boundTime: bigint | null = null;

  constructor(windowMs: number) {
    this.#windowMs = BigInt(windowMs);
  }

  begin(): void {
    this.#boundTime = this.#maxTime;
  }

  append(labels: string, { timeMs, bits }: TestSample, futureLimit: bigint): number {
    let series = this.series.get(labels);
    if (series === undefined) {
      series = { lastTime: null, lastBits: 0n, samples: new Map(), inOrder: [], late: new Map() };
      this.series.set(labels, series);
    }
    if (timeMs > futureLimit) return SAMPLE_CODE.future;
    const max = this.#boundTime;
    const half = BigInt(RANGE / 2);
    if (series.lastTime === null || timeMs > series.lastTime) {
      if (max === null || timeMs >= max - half) {
        series.lastTime = timeMs;
        series.lastBits = bits;
        this.#boundTime ??= timeMs;
        if (this.#maxTime === null || timeMs > this.#maxTime) this.#maxTime = timeMs;
        series.inOrder.push({ time: Number(timeMs), bits });
        this.#add(series, timeMs, bits);
        return SAMPLE_CODE.accepted;
      }
    } else if (timeMs === series.lastTime)
      return bits === series.lastBits ? SAMPLE_CODE.duplicate : SAMPLE_CODE.newValue;
    if (this.#windowMs > 0n) {
      if (max === null || timeMs < max - this.#windowMs) return SAMPLE_CODE.tooOld;
      if (series.late.size === 32) series.late = new Map();
      const known = series.late.get(timeMs);
      if (known !== undefined) return known === bits ? SAMPLE_CODE.duplicate : SAMPLE_CODE.newValue;
      series.late.set(timeMs, bits);
      this.#add(series, timeMs, bits);
      return SAMPLE_CODE.acceptedOutOfOrder;
    }
    return max === null || timeMs < max - half ? SAMPLE_CODE.outOfBounds : SAMPLE_CODE.outOfOrder;
  }

  #add(series: ModelSeries, timeMs: bigint, bits: bigint): void {
    const known = series.samples.get(Number(timeMs));
    if (known === undefined) series.samples.set(Number(timeMs), new Set([bits]));
    else known.add(bits);
  }
}

const SPECIAL = [
  0x7ff0000000000002n,
  0x7ff8000000000001n,
  0xfff8000000000000n,
  0x7ff0000000000001n,
  0xffffffffffffffffn,
  0x8000000000000000n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  1n,
  0n,
];

const bitsArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 50 }).map((v) => bitsOf(v)) },
  { weight: 2, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
  { weight: 2, arbitrary: fc.constantFrom(...SPECIAL) },
);
/** Steps of time of one series, relative to the newest so far. */
const stepArbitrary = fc.oneof(
  { weight: 10, arbitrary: fc.constant(15_000) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 100_000 }) },
  { weight: 3, arbitrary: fc.constantFrom(8192, -8191, 65536, 65537, 524_288, 524_289, 1_000_000_00) },
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.integer({ min: -1_900_000, max: -1 }) },
  { weight: 1, arbitrary: fc.integer({ min: -8_000_000, max: -3_000_000 }) },
);

const requestsArbitrary = fc.array(
  fc.array(
    fc.record({
      series: fc.integer({ min: 0, max: 4 }),
      samples: fc.array(fc.record({ step: stepArbitrary, bits: bitsArbitrary }), { maxLength: 40 }),
    }),
    { maxLength: 6 },
  ),
  { minLength: 1, maxLength: 25 },
);

function labelsOf(i: number): [string, string][] {
  return [
    ['__name__', 'm'],
    ['i', String(i)],
  ];
}

function check(windowMs: number, found: readonly DecodedSeries[], model: Model): void {
  const expected = [...model.series].filter(([, series]) => series.samples.size > 0);
  expect(found.map((series) => series.labels).sort()).toEqual(expected.map(([labels]) => labels).sort());
  for (const [labels, series] of expected) {
    const decoded = found.find((one) => one.labels === labels)!;
    const samples = samplesOf(decoded);
    expect([...samples.keys()]).toEqual([...series.samples.keys()].sort((a, b) => a - b));
    for (const [time, bits] of samples) expect([...series.samples.get(time)!]).toContain(bits);
    if (windowMs > 0) continue;
    for (const chunk of decoded.chunks) expect(Buffer.from(chunk.bytes)).toEqual(encode(chunk));
    expect(decoded.chunks.map((chunk) => chunk.times.length)).toEqual(cutLengths(series.inOrder));
  }
}

function encode({ times, bits }: { times: number[]; bits: bigint[] }): Buffer {
  const values = new Float64Array(BigUint64Array.from(bits).buffer);
  return Buffer.from(codecKernel().encodeXor(Float64Array.from(times), values, times.length));
}

/** Lengths of the chunks by the rules of Prometheus' head, worked out with an encoder of whole chunks. */
function cutLengths(samples: readonly { time: number; bits: bigint }[]): number[] {
  const lengths: number[] = [];
  let open: { time: number; bits: bigint }[] = [];
  let nextAt = 0;
  for (const sample of samples) {
    if (open.length > 0) {
      const first = open[0]!.time;
      if (open.length === 30) {
        const n = (nextAt - first) / ((open.at(-1)!.time - first + 1) * 4);
        if (n > 1) nextAt = Math.floor(first + (nextAt - first) / Math.floor(n));
      }
      const bytes = encode({ times: open.map((s) => s.time), bits: open.map((s) => s.bits) }).length;
      if (bytes > 1024 - 19 || sample.time >= nextAt || open.length >= 240) {
        lengths.push(open.length);
        open = [];
      }
    }
    if (open.length === 0) nextAt = (Math.floor(sample.time / RANGE) + 1) * RANGE;
    open.push(sample);
  }
  if (open.length > 0) lengths.push(open.length);
  return lengths;
}

describe.each([0, 1_800_000])('a head with an out-of-order window of %d ms', (windowMs) => {
  test('takes and refuses samples as the model does, and answers with what it took', async () => {
    await fc.assert(
      fc.asyncProperty(requestsArbitrary, fc.integer({ min: 0, max: 3 }), async (requests, grace) => {
        const { head, reader } = newHead({ outOfOrderWindowMs: windowMs, memoryBytesMax: 160 * 2 ** 20 });
        const model = new Model(windowMs);
        const newest = [0, 0, 0, 0, 0];
        for (const request of requests) {
          const futureLimit = T0 + Math.max(...newest) + 60_000 + grace * 4_000_000;
          const counts = new Array(9).fill(0);
          const series: TestSeries[] = request.map(({ series: i, samples }) => ({
            labels: labelsOf(i),
            samples: samples.map(({ step, bits }) => {
              const timeMs = BigInt(T0 + newest[i]! + step);
              if (step > 0 && Number(timeMs) <= futureLimit) newest[i] = newest[i]! + step;
              return { timeMs, bits };
            }),
          }));
          model.begin();
          for (const { labels, samples } of series) {
            const key = labels.map(([name, value]) => `${name}=${value}`).join(',');
            for (const sample of samples) counts[model.append(key, sample, BigInt(futureLimit))]++;
          }
          expect(push(head, series, futureLimit).counts).toEqual(counts);
        }
        check(windowMs, await selectAll(reader), model);
      }),
      { seed: 20_261, numRuns: 60 },
    );
  });
});

describe('chunks of the head', () => {
  const shapes: [string, (i: number) => { time: number; bits: bigint }][] = [
    ['constants every 15 s', (i) => ({ time: T0 + i * 15_000, bits: bitsOf(1) })],
    ['a counter every second', (i) => ({ time: T0 + i * 1000, bits: bitsOf(i * 3) })],
    ['noise every 15 s', (i) => ({ time: T0 + i * 15_000, bits: bitsOf(Math.sin(i) * 1e9) })],
    ['noise every 15 ms', (i) => ({ time: T0 + i * 15, bits: bitsOf(Math.sin(i) * 1e9) })],
    ['one in an hour', (i) => ({ time: T0 + i * 3_600_000, bits: bitsOf(i) })],
    ['a slow start', (i) => ({ time: T0 + (i < 40 ? i * 100_000 : 4_000_000 + i * 10), bits: bitsOf(i) })],
    ['before 1970', (i) => ({ time: -50_000_000 + i * 15_000, bits: bitsOf(i) })],
    [
      'jittering times and changing windows',
      (i) => ({
        time: T0 + i * 60_000 + ((i * 7919) % 9000),
        bits: (BigInt(i) * 0x9e3779b97f4a7c15n) % 2n ** 63n,
      }),
    ],
  ];
  test.each(shapes)('are cut and encoded as Prometheus does: %s', async (_name, sampleAt) => {
    const { head, reader } = newHead();
    const samples = Array.from({ length: 1500 }, (_, i) => sampleAt(i));
    for (let from = 0; from < samples.length; from += 100) {
      push(head, [
        {
          labels: labelsOf(1),
          samples: samples.slice(from, from + 100).map(({ time, bits }) => ({ timeMs: BigInt(time), bits })),
        },
      ]);
    }
    const [series] = await selectAll(reader);
    expect([...samplesOf(series!)]).toEqual(samples.map(({ time, bits }) => [time, bits]));
    expect(series!.chunks.map((chunk) => chunk.times.length)).toEqual(cutLengths(samples));
    for (const chunk of series!.chunks) expect(Buffer.from(chunk.bytes)).toEqual(encode(chunk));
  });

  test('of late samples are split, however many there are', async () => {
    const { head, reader } = newHead({ outOfOrderWindowMs: 10 * 86_400_000 });
    push(head, [{ labels: labelsOf(1), samples: [{ timeMs: BigInt(T0), bits: bitsOf(1) }] }]);
    const late = Array.from({ length: 70_000 }, (_, i) => ({
      timeMs: BigInt(T0 - 1 - i * 1000),
      bits: bitsOf(i),
    }));
    expect(push(head, [{ labels: labelsOf(1), samples: late }]).counts[SAMPLE_CODE.acceptedOutOfOrder]).toBe(
      70_000,
    );
    const [series] = await selectAll(reader);
    expect(samplesOf(series!).size).toBe(70_001);
    const firsts = series!.chunks.map((chunk) => chunk.times[0]!);
    expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
    const [part] = await selectAll(reader, [], T0 - 5000, T0);
    expect(part!.chunks.length).toBeLessThan(3);
  });
});
