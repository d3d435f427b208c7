import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesFromHex } from '../../bytes/index.js';
import { codecKernel } from '../../kernel/index.js';
import { AGGREGATE, decodeAggregateChunk } from './aggregate-chunk.js';

/** Vectors were made by the reference downsampler (spec: thanos-downsampling.md §4). */

const FULL =
  '12010002becf244014000000000000e1d403d61d 13010002becf244054000000000000e1d403d62680' +
  '13010002becf244014000000000000e1d403d435a0 13010002becf24403e000000000000e1d403d247f8' +
  '1a010004004024000000000000dfa712d2462f62b416b1ede8acfd1c';
const COUNT_ONLY = '0d010001becf24401400000000000000000000';

function samplesOf(data: Uint8Array): number[][] {
  const times = new Float64Array(64);
  const values = new Float64Array(64);
  const n = codecKernel().decodeXorInto(data, times, values);
  return Array.from({ length: n }, (_, i) => [times[i]!, values[i]!]);
}

describe('an aggregate chunk', () => {
  test('holds the five aggregates, of which the counter repeats its last time', () => {
    const inner = decodeAggregateChunk(bytesFromHex(FULL));
    expect(inner.map((chunk) => chunk?.encoding)).toEqual([1, 1, 1, 1, 1]);
    expect(inner.map((chunk) => samplesOf(chunk!.data))).toEqual([
      [
        [299_999, 5],
        [360_000, 2],
      ],
      [
        [299_999, 80],
        [360_000, 60],
      ],
      [
        [299_999, 5],
        [360_000, 25],
      ],
      [
        [299_999, 30],
        [360_000, 35],
      ],
      [
        [0, 10],
        [299_999, 45],
        [360_000, 65],
        [360_000, 35],
      ],
    ]);
  });

  test('may lack aggregates', () => {
    const inner = decodeAggregateChunk(bytesFromHex(COUNT_ONLY));
    expect(inner.slice(1)).toEqual([null, null, null, null]);
    expect(samplesOf(inner[AGGREGATE.count]!.data)).toEqual([[299_999, 5]]);
  });

  test.each([FULL, COUNT_ONLY])('cut anywhere or with more behind it is refused', (hex) => {
    const chunk = bytesFromHex(hex);
    for (let n = 0; n < chunk.length; n++) {
      expect(() => decodeAggregateChunk(chunk.subarray(0, n))).toThrow(
        expect.objectContaining({ kind: 'corruption' }),
      );
    }
    expect(() => decodeAggregateChunk(Uint8Array.of(...chunk, 0))).toThrow(
      expect.objectContaining({ code: 'chunk-trailing-bytes' }),
    );
  });

  test('of random bytes is taken apart or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          expect(decodeAggregateChunk(bytes)).toHaveLength(5);
        } catch (error) {
          expect(error).toMatchObject({ kind: 'corruption' });
        }
      }),
      { seed: 3, numRuns: 2000 },
    );
  });
});
