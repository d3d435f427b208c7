import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesFromHex, bytesToHex } from '../../bytes/index.js';
import { Xor2Decoder } from './xor2-decoder.js';
import { encodeXor2 } from './xor2-encoder.js';

/** Vectors were made by the reference implementation (spec: chunks.md §4). */

const T = 1_700_000_000_000;
const STALE = 'stale';
const decoder = new Xor2Decoder();

const Y1 = '00040080a0abfef96200000000000000009875c22bffa12fffd603';
const Y2 = '00038080a0abfef9623ff0000000000000d00f98755097ffc0';
const Y3 = '00048180a0abfef9623ff0000000000000b0ea0198750a12fff8';
const Y4 = '00050080a0abfef9623ff000000000000098757f0005bfff826ffe40';

const VECTORS: readonly (readonly [
  string,
  string,
  readonly (readonly [number, number | string])[],
  readonly number[],
])[] = [
  [
    'values',
    Y1,
    [
      [0, 0],
      [15_000, 1],
      [30_000, 2],
      [45_000, 3],
    ],
    [-T, -T, -T, -T],
  ],
  [
    'one start time',
    Y2,
    [
      [0, 1],
      [15_000, 1],
      [30_000, 2],
    ],
    [-1000, -1000, -1000],
  ],
  [
    'moving start times',
    Y3,
    [
      [0, 1],
      [15_000, 1],
      [30_000, 1],
      [45_000, 2],
    ],
    [-15_000, 0, 15_000, 30_000],
  ],
  [
    'a stale marker',
    Y4,
    [
      [0, 1],
      [15_000, 1],
      [30_000, STALE],
      [45_001, 1],
      [60_001, 5],
    ],
    [-T, -T, -T, -T, -T],
  ],
];

describe('an XOR2 chunk', () => {
  test.each(VECTORS)('decodes to what the reference wrote: %s', (_, hex, samples, starts) => {
    const columns = decoder.decode(bytesFromHex(hex));
    const bits = new BigUint64Array(columns.values.buffer);
    const found = Array.from(columns.values, (value, i) => [
      columns.timestamps[i]! - T,
      bits[i] === 0x7ff0000000000002n ? STALE : value,
    ]);
    expect(found).toEqual(samples);
    expect(Array.from(columns.startTimestamps, (start) => start - T)).toEqual(starts);
  });

  test.each(VECTORS)('is encoded as the reference wrote it: %s', (_, hex) => {
    const { timestamps, values, startTimestamps } = decoder.decode(bytesFromHex(hex));
    expect(bytesToHex(encodeXor2(timestamps, values, startTimestamps))).toBe(hex);
  });

  test('of any samples decodes to them', () => {
    const change = fc.oneof(fc.constant(15_000), fc.integer({ min: 0, max: 40_000 }), fc.constant(2 ** 33));
    const value = fc.oneof(
      fc.constantFrom(0, 1, 0x7ff0000000000002n, 0x7ff8000000000001n),
      fc.double(),
      fc.integer(),
    );
    const start = fc.oneof(
      fc.constant(0),
      fc.constant(T),
      fc.integer({ min: T - 100_000, max: T + 9_000_000 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(change, value, start), { minLength: 1, maxLength: 150 }), (samples) => {
        let time = T;
        const timestamps = Float64Array.from(samples, ([step]) => (time += step));
        const values = Float64Array.from(samples, ([, v]) => (typeof v === 'number' ? v : 0));
        const bits = new BigUint64Array(values.buffer);
        samples.forEach(([, v], i) => {
          if (typeof v === 'bigint') bits[i] = v;
        });
        const starts = Float64Array.from(samples, ([, , s]) => s);
        const decoded = decoder.decode(encodeXor2(timestamps, values, starts));
        expect([...decoded.timestamps]).toEqual([...timestamps]);
        expect([...new BigUint64Array(decoded.values.buffer)]).toEqual([...bits]);
        expect([...decoded.startTimestamps]).toEqual([...starts]);
      }),
      { seed: 7, numRuns: 400 },
    );
  });

  test.each(VECTORS)('cut anywhere is refused: %s', (_, hex) => {
    const chunk = bytesFromHex(hex);
    for (let n = 0; n < chunk.length; n++) {
      expect(() => decoder.decode(chunk.subarray(0, n))).toThrow(
        expect.objectContaining({ kind: 'corruption' }),
      );
    }
  });

  test('with flipped bits gives samples or an error of corruption', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(Y1, Y2, Y3, Y4),
        fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
        (hex, flips) => {
          const chunk = bytesFromHex(hex);
          for (const flip of flips) chunk[(flip >>> 3) % chunk.length]! ^= 1 << (flip & 7);
          try {
            decoder.decode(chunk);
          } catch (error) {
            expect(error).toMatchObject({ kind: 'corruption' });
          }
        },
      ),
      { seed: 5, numRuns: 3000 },
    );
  });
});
