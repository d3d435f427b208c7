// Merging of overlapping XOR chunks: against a map of samples, with deleted spans, bits of NaNs, and bad chunks.
import { describe, expect, test } from '@jest/globals';
import { SeededPrng } from '../prng/index.js';
import { CodecKernel, type DeletedSpan, MergeKernel } from './index.js';

const T = 1_700_000_000_000;
const codec = new CodecKernel();
const kernel = new MergeKernel();

interface Chunk {
  readonly times: readonly number[];
  readonly bits: readonly bigint[];
  readonly rank: number;
  readonly spans: readonly DeletedSpan[];
}

function encode({ times, bits }: Chunk): Uint8Array {
  const values = new Float64Array(BigUint64Array.from(bits).buffer);
  return codec.encodeXor(Float64Array.from(times), values, times.length);
}

/** Merges, and returns samples and sizes of the chunks. */
function merge(chunks: readonly Chunk[], samplesMax = 120): { samples: [number, bigint][]; sizes: number[] } {
  kernel.begin();
  for (const chunk of chunks) {
    kernel.add(encode(chunk), chunk.times[0]!, chunk.times.at(-1)!, chunk.rank, chunk.spans);
  }
  const samples: [number, bigint][] = [];
  const sizes: number[] = [];
  const count = kernel.run(samplesMax);
  for (let i = 0; i < count; i++) {
    const times = new Float64Array(samplesMax);
    const values = new Float64Array(samplesMax);
    const size = codec.decodeXorInto(new Uint8Array(kernel.data(i)), times, values);
    const bits = new BigUint64Array(values.buffer);
    sizes.push(size);
    expect([kernel.minTime(i), kernel.maxTime(i)]).toEqual([times[0], times[size - 1]]);
    for (let k = 0; k < size; k++) samples.push([times[k]!, bits[k]!]);
  }
  return { samples, sizes };
}

function chunk(
  times: readonly number[],
  value: bigint,
  rank: number,
  spans: readonly DeletedSpan[] = [],
): Chunk {
  return { times: times.map((time) => T + time), bits: times.map(() => value), rank, spans };
}

describe('merging chunks', () => {
  test('keeps the sample of the lowest rank where times are equal, whichever chunk comes first', () => {
    const merged: [number, bigint][] = [
      [T, 7n],
      [T + 5, 9n],
      [T + 10, 9n],
      [T + 20, 7n],
    ];
    expect(merge([chunk([0, 10, 20], 7n, 1), chunk([5, 10], 9n, 0)]).samples).toEqual(merged);
    merged[2] = [T + 10, 7n];
    expect(merge([chunk([0, 10, 20], 7n, 0), chunk([5, 10], 9n, 1)]).samples).toEqual(merged);
  });

  test('moves values by their bits', () => {
    const bits = [0x7ff0_0000_0000_0002n, 0x7ff0_0000_0000_0001n, 0xfff8_0000_0000_0123n, 1n << 63n];
    const times = [0, 10, 20, 30].map((time) => T + time);
    const { samples } = merge([{ times, bits, rank: 0, spans: [] }, chunk([5, 40], 0n, 1)]);
    expect(samples.filter(([time]) => times.includes(time)).map(([, value]) => value)).toEqual(bits);
  });

  test('leaves deleted spans out, of their own chunk only', () => {
    const spans = [
      { minTime: T - 5, maxTime: T },
      { minTime: T + 15, maxTime: T + 25 },
    ];
    const { samples } = merge([chunk([0, 10, 20, 30], 1n, 0, spans), chunk([20], 2n, 1)]);
    expect(samples.map(([time, value]) => [time - T, value])).toEqual([
      [10, 1n],
      [20, 2n],
      [30, 1n],
    ]);
    expect(merge([chunk([0], 1n, 0, spans)])).toEqual({ samples: [], sizes: [] });
  });

  test('begins a new chunk after so many samples', () => {
    const times = Array.from({ length: 250 }, (_, i) => i * 10);
    expect(merge([chunk(times, 1n, 0), chunk([5], 1n, 1)]).sizes).toEqual([120, 120, 11]);
    expect(merge([chunk(times, 1n, 0), chunk([5], 1n, 1)], 100).sizes).toEqual([100, 100, 51]);
  });

  test('agrees with a map of samples', () => {
    const prng = new SeededPrng(11);
    for (let round = 0; round < 300; round++) {
      const chunks: Chunk[] = [];
      for (let rank = prng.nextInt(4); rank >= 0; rank--) {
        let time = T + prng.nextInt(50);
        for (let n = prng.nextInt(5); n >= 0; n--) {
          const times: number[] = [];
          for (let i = prng.nextInt(60); i >= 0; i--) times.push((time += 1 + prng.nextInt(8)));
          const bits = times.map(() => BigInt(prng.nextU32()) << 20n);
          const minTime = time - prng.nextInt(100);
          const spans = prng.nextInt(3) === 0 ? [{ minTime, maxTime: minTime + prng.nextInt(50) }] : [];
          chunks.push({ times, bits, rank, spans });
        }
      }
      chunks.sort(
        (a, b) => a.times[0]! - b.times[0]! || a.times.at(-1)! - b.times.at(-1)! || a.rank - b.rank,
      );
      const expected = new Map<number, bigint>();
      for (const { times, bits, spans } of [...chunks].sort((a, b) => a.rank - b.rank)) {
        for (const [i, time] of times.entries()) {
          const isDeleted = spans.some((span) => time >= span.minTime && time <= span.maxTime);
          if (!isDeleted && !expected.has(time)) expected.set(time, bits[i]!);
        }
      }
      expect(merge(chunks).samples).toEqual([...expected].sort((a, b) => a[0] - b[0]));
    }
  });

  test('merges more than a small memory holds, and little again after it', () => {
    const long = Array.from({ length: 60_000 }, (_, i) => i * 10);
    const chunks = Array.from({ length: 20 }, (_, i) => chunk(long, BigInt(i), i));
    expect(merge(chunks).samples).toHaveLength(60_000);
    expect(merge([chunk([0], 1n, 0)]).samples).toEqual([[T, 1n]]);
  });
});

describe('a bad chunk', () => {
  const good = chunk([0, 10], 1n, 0);

  function codeOf(data: Uint8Array, minTime: number, maxTime: number): unknown {
    kernel.begin();
    kernel.add(encode(good), T, T + 10, 0);
    kernel.add(data, minTime, maxTime, 1);
    try {
      return kernel.run(120);
    } catch (error) {
      const { code, details } = error as { code: string; details: { chunk: number } };
      return `${code} ${details.chunk}`;
    }
  }

  test('is named by its number', () => {
    const data = encode(chunk([0, 10, 20, 33], 5n, 0));
    expect(codeOf(data.subarray(0, 12), T, T + 33)).toBe('chunk-truncated 1');
    expect(codeOf(data, T + 1, T + 33)).toBe('chunk-time 1');
    expect(codeOf(data, T, T + 32)).toBe('chunk-time 1');
    expect(codeOf(encode(chunk([0, 10, 10], 5n, 0)), T, T + 10)).toBe('sample-order 1');
    expect(codeOf(new Uint8Array(0), T, T)).toBe('chunk-truncated 1');
  });

  test('of random bytes is an error or samples in order', () => {
    const prng = new SeededPrng(3);
    for (let round = 0; round < 3000; round++) {
      const data = encode(chunk([0, 10, 20, 33, 47], BigInt(round), 0)).slice();
      for (let n = 1 + prng.nextInt(4); n > 0; n--)
        data[1 + prng.nextInt(data.length - 1)]! ^= 1 << prng.nextInt(8);
      const found = codeOf(data, T, T + 1000);
      expect(typeof found === 'number' ? found <= 3 : /^(chunk|sample)-[a-z-]+ 1$/.test(String(found))).toBe(
        true,
      );
    }
  });
});
