import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BitReader } from './bit-reader.js';
import { BitWriter } from './bit-writer.js';

/** Widths of varbit integers by their class, with the prefix (spec: chunks.md §5). */
const CLASSES = [
  [3, 5],
  [6, 9],
  [9, 13],
  [12, 17],
  [18, 24],
  [25, 32],
  [56, 64],
] as const;

function words(value: bigint): [high: number, low: number] {
  return [Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value))];
}

function readerOf(writer: BitWriter): BitReader {
  const reader = new BitReader();
  reader.reset(writer.copy(), 0);
  return reader;
}

function value64(reader: BitReader): bigint {
  return (BigInt(reader.high) << 32n) | BigInt(reader.low >>> 0);
}

describe('a varbit integer', () => {
  test.each(CLASSES)('of %i bits takes %i in all, up to its borders', (width, total) => {
    const half = 1n << BigInt(width - 1);
    for (const [value, isInside] of [
      [half, true],
      [1n - half, true],
      [half + 1n, false],
      [-half, false],
    ] as const) {
      const writer = new BitWriter();
      writer.varbitInt(...words(value));
      expect({ value, isInside: writer.position === total }).toEqual({ value, isInside });
      const reader = readerOf(writer);
      reader.varbitInt();
      expect(value64(reader)).toBe(value);
    }
    const writer = new BitWriter();
    writer.varbitUint(...words((1n << BigInt(width)) - 1n));
    expect(writer.position).toBe(total);
    writer.varbitUint(...words(1n << BigInt(width)));
    expect(writer.position - total).toBeGreaterThan(total);
    const reader = readerOf(writer);
    expect([reader.varbitUint(), reader.varbitUint()]).toEqual([2 ** width - 1, 2 ** width]);
  });

  test('comes back at any bit position, and nothing comes after the end', () => {
    const int64 = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.bigInt({ min: -70_000n, max: 70_000n }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(int64, fc.integer({ min: 1, max: 32 }), fc.nat())), (entries) => {
        const writer = new BitWriter(8);
        for (const [value, width, bits] of entries) {
          writer.varbitInt(...words(value));
          writer.bits(bits, width);
        }
        const reader = readerOf(writer);
        for (const [value, width, bits] of entries) {
          reader.varbitInt();
          expect(value64(reader)).toBe(value);
          expect(reader.bits(width)).toBe(Number(BigInt.asUintN(width, BigInt(bits))));
        }
        expect(reader.remaining).toBeLessThan(8);
        expect(() => reader.wide(64)).toThrow(expect.objectContaining({ code: 'chunk-truncated' }));
      }),
      { seed: 13, numRuns: 300 },
    );
  });
});
