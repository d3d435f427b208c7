// XOR chunks: golden bytes of Prometheus' own encoder (docs of the chunk format, X1..X5), kernel against the twin that
// works on strings of binary digits, hostile input. Values are compared as bits throughout.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesFromHex, bytesToHex } from '../bytes/index.js';
import { SeededPrng } from '../prng/index.js';
import { CodecKernel, createMemory, instantiate } from './index.js';
import { decodeXorReference, encodeXorReference, type RawSample } from './reference/index.js';

const T = 1700000000000;
const STALE = 0x7ff0000000000002n;
const kernel = new CodecKernel();

interface Raw {
  xorDecode(chunk: number, length: number, timestamps: number, values: number): number;
  xorEncode(timestamps: number, values: number, count: number, dst: number): number;
}
const memory = createMemory(1 << 20);
const raw = instantiate<Raw>(memory);
const heap = new Uint8Array(memory.buffer);

function bitsOf(value: number): bigint {
  return new BigUint64Array(Float64Array.of(value).buffer)[0]!;
}

function samplesOf(pairs: readonly (readonly [number, number | bigint])[]): RawSample[] {
  return pairs.map(([timestampMs, value]) => ({
    timestampMs,
    bits: typeof value === 'bigint' ? value : bitsOf(value),
  }));
}

function columnsOf(samples: readonly RawSample[]): { timestamps: Float64Array; values: Float64Array } {
  const values = new Float64Array(BigUint64Array.from(samples, (sample) => sample.bits).buffer);
  return { timestamps: Float64Array.from(samples, (sample) => sample.timestampMs), values };
}

function encode(samples: readonly RawSample[]): Uint8Array {
  const { timestamps, values } = columnsOf(samples);
  return kernel.encodeXor(timestamps, values, samples.length);
}

/** Decodes with columns that are longer than needed, at an odd offset of their buffer. */
function decode(chunk: Uint8Array): RawSample[] {
  const room = ((chunk[0] ?? 0) << 8) + (chunk[1] ?? 0) + 2;
  const timestamps = new Float64Array(room + 1).subarray(1);
  const values = new Float64Array(room + 3).subarray(3);
  const count = kernel.decodeXorInto(chunk, timestamps, values);
  const bits = new BigUint64Array(values.buffer, values.byteOffset, count);
  return Array.from(bits, (word, i) => ({ timestampMs: timestamps[i]!, bits: word }));
}

function decodeOrNull(chunk: Uint8Array): RawSample[] | null {
  try {
    return decode(chunk);
  } catch {
    return null;
  }
}

const borders = [0, 8192, -8191, 8193, -8192, 65536, -65535, 65537, -65536, 524288, -524287, 524289, -524288];

function atBorders(): RawSample[] {
  const times = [0, 1_000_000_000];
  let delta = 1_000_000_000;
  for (const dod of borders) {
    delta += dod;
    times.push(times.at(-1)! + delta);
  }
  return samplesOf(times.map((t) => [t, 1]));
}

const golden: readonly (readonly [string, RawSample[], string])[] = [
  [
    'X1, a rising value',
    samplesOf([0, 1, 2, 3].map((i) => [T + i * 15000, i])),
    '0004 80a0abfef962 0000000000000000 9875 c457fec25fff6c06',
  ],
  [
    'X2, a constant',
    samplesOf([0, 1, 2].map((i) => [T + i * 15000, 1])),
    '0003 80a0abfef962 3ff0000000000000 9875 00',
  ],
  [
    'X3, every border of the timestamp buckets',
    atBorders(),
    '000f003ff00000000000008094ebdc0314000a00161000b78001a0000d0001708000bbc0001d00000e8000178000000000040000bfffffffffffe00000',
  ],
  [
    'X4, a stale marker and a NaN',
    samplesOf([
      [T, 12.5],
      [T + 15000, 12.5],
      [T + 30001, 13],
      [T + 45000, -1],
      [T + 60000, STALE],
      [T + 75000, 0x7ff8000000000001n],
    ]),
    '000680a0abfef962402900000000000098754000ee0bbffec07ffed8001c1fe0000000000000016cd2000000000000c0',
  ],
  [
    'X5, a negative time',
    samplesOf([
      [-1, 1],
      [0, 2],
    ]),
    '0002 01 3ff0000000000000 01 c25fff',
  ],
];

const rawSamples = fc
  .array(
    fc.record({
      gapMs: fc.oneof(
        fc.constant(15000),
        fc.integer({ min: 14990, max: 15010 }),
        fc.integer({ min: 0, max: 200000 }),
        fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      ),
      bits: fc.oneof(
        fc.integer({ min: 0, max: 4 }).map((n) => bitsOf(n)),
        fc.double().map(bitsOf),
        fc.constant(STALE),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      ),
    }),
    { maxLength: 60 },
  )
  .chain((steps) =>
    fc.integer({ min: -T, max: 2 * T }).map((start) => {
      let timestampMs = start;
      return steps.map(({ gapMs, bits }) => ({ timestampMs: (timestampMs += gapMs), bits }));
    }),
  );

describe('golden chunks', () => {
  test.each(golden)('%s', (_, samples, hex) => {
    const chunk = bytesFromHex(hex);
    expect(bytesToHex(encode(samples))).toBe(bytesToHex(chunk));
    expect(bytesToHex(encodeXorReference(samples))).toBe(bytesToHex(chunk));
    expect(decode(chunk)).toEqual(samples);
    expect(decodeXorReference(chunk)).toEqual(samples);
  });

  test('a chunk without samples is two bytes', () => {
    expect(bytesToHex(encode([]))).toBe('0000');
    expect(decode(bytesFromHex('0000'))).toEqual([]);
  });

  test('a reused window is accepted before any was set', () => {
    // Written by an appender that was reopened on a constant: prefix 10 and the whole 64 bits.
    const chunk = bytesFromHex('0002 00 3ff0000000000000 0a 8004000000000000 00');
    const expected = samplesOf([
      [0, 1],
      [5 * 2, bitsOf(1) ^ 0x0010000000000000n],
    ]);
    expect(decode(chunk)).toEqual(expected);
    expect(decodeXorReference(chunk)).toEqual(expected);
  });
});

describe('kernel and reference', () => {
  test('make the same bytes and read them back', () => {
    fc.assert(
      fc.property(rawSamples, (samples) => {
        const chunk = encode(samples);
        expect(bytesToHex(chunk)).toBe(bytesToHex(encodeXorReference(samples)));
        expect(decode(chunk)).toEqual(samples);
        expect(decodeXorReference(chunk)).toEqual(samples);
      }),
      { seed: 31, numRuns: 400 },
    );
  });

  test('agree on every truncation', () => {
    for (const [, samples] of golden) {
      const chunk = encode(samples);
      for (let n = 0; n < chunk.length; n++) {
        expect(decodeOrNull(chunk.subarray(0, n))).toEqual(decodeXorReference(chunk.subarray(0, n)));
        expect(decodeOrNull(chunk.subarray(0, n))).toBeNull();
      }
    }
  });

  test('agree on flipped bits', () => {
    fc.assert(
      fc.property(rawSamples, fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), (samples, flips) => {
        const chunk = encode(samples);
        for (const flip of flips) chunk[(flip >> 3) % chunk.length]! ^= 1 << (flip & 7);
        expect(decodeOrNull(chunk)).toEqual(decodeXorReference(chunk));
      }),
      { seed: 32, numRuns: 600 },
    );
  });

  test('agree on random bytes', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.uint8Array({ maxLength: 200 }), (count, bytes) => {
        const chunk = Uint8Array.from([0, count, ...bytes]);
        expect(decodeOrNull(chunk)).toEqual(decodeXorReference(chunk));
      }),
      { seed: 33, numRuns: 2000 },
    );
  });
});

describe('limits', () => {
  test('65535 samples of the widest kind fit', () => {
    const prng = new SeededPrng(9);
    const n = 65535;
    const timestamps = new Float64Array(n);
    const bits = new BigUint64Array(n);
    for (let i = 0; i < n; i++) {
      // Differences of differences beyond 20 bits, values with both ends set.
      timestamps[i] = (i === 0 ? 0 : timestamps[i - 1]!) + 1 + prng.nextInt(2 ** 30);
      bits[i] = i & 1 ? 0xffffffffffffffffn : BigInt(prng.nextU32()) << 1n;
    }
    const values = new Float64Array(bits.buffer);
    const chunk = kernel.encodeXor(timestamps, values, n);
    expect(chunk.length).toBeLessThanOrEqual(20 + 19 * n);
    const outTimestamps = new Float64Array(n);
    const outBits = new BigUint64Array(n);
    expect(kernel.decodeXorInto(chunk, outTimestamps, new Float64Array(outBits.buffer))).toBe(n);
    expect(outTimestamps).toEqual(timestamps);
    expect(Buffer.compare(Buffer.from(outBits.buffer), Buffer.from(bits.buffer))).toBe(0);
  });

  test('columns that are too short are a bug of the caller', () => {
    const chunk = encode(golden[0]![1]);
    expect(() => kernel.decodeXorInto(chunk, new Float64Array(3), new Float64Array(4))).toThrow(/assertion/);
    expect(() => kernel.encodeXor(new Float64Array(3), new Float64Array(4), 4)).toThrow(/assertion/);
  });

  test.each([
    ['chunk-truncated', '0004 80a0abfef962 0000000000000000 9875 c457'],
    ['chunk-bad-window', '0002 00 3ff0000000000000 0a ffffffffffffffffffffffff'],
  ])('a bad chunk is reported as %s', (code, hex) => {
    expect(() => decode(bytesFromHex(hex))).toThrow(expect.objectContaining({ kind: 'corruption', code }));
  });

  test('nothing is written outside the columns and the chunk', () => {
    const { timestamps, values } = columnsOf(atBorders());
    const n = timestamps.length;
    const capacity = 20 + 19 * n;
    heap.fill(0xa5);
    new Float64Array(memory.buffer, 65536, n).set(timestamps);
    new Float64Array(memory.buffer, 131072, n).set(values);
    const length = raw.xorEncode(65536, 131072, n, 200000);
    expect(raw.xorDecode(200000, length, 300000, 400000)).toBe(n);
    for (const [from, to] of [
      [200000 - 64, 200000],
      [200000 + capacity, 200000 + capacity + 64],
      [300000 - 64, 300000],
      [300000 + 8 * n, 300000 + 8 * n + 64],
      [400000 - 64, 400000],
      [400000 + 8 * n, 400000 + 8 * n + 64],
    ] as const) {
      expect(heap.subarray(from, to).every((byte) => byte === 0xa5)).toBe(true);
    }
  });
});
