import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteReader, ByteWriter, bytesFromHex, bytesToHex } from './index.js';

const hexOf = (write: (writer: ByteWriter) => void): string => {
  const writer = new ByteWriter(1);
  write(writer);
  return bytesToHex(writer.copy());
};

describe('ByteWriter', () => {
  test.each<[string, string, (writer: ByteWriter) => void]>([
    ['u8', 'ff', (w) => w.u8(255)],
    ['u16be', '0102', (w) => w.u16be(0x0102)],
    ['u32', '04030201', (w) => w.u32(0x01020304)],
    ['u32be', 'fffefdfc', (w) => w.u32be(0xfffefdfc)],
    ['u64', '0200000000f0ff7f', (w) => w.u64(0x7ffff00000000002n)],
    ['u64be', '7ff0000000000002', (w) => w.u64be(0x7ff0000000000002n)],
    ['f64', '000000000000f03f', (w) => w.f64(1)],
    ['bytes', '010203', (w) => w.bytes(Uint8Array.of(1, 2, 3))],
    ['uvarint of one byte', '7f', (w) => w.uvarint(127)],
    ['uvarint of two bytes', '8001', (w) => w.uvarint(128)],
    ['uvarint of 2^53 - 1', 'ffffffffffffff0f', (w) => w.uvarint(Number.MAX_SAFE_INTEGER)],
    ['uvarint64 of -1', 'ffffffffffffffffff01', (w) => w.uvarint64(-1n)],
    ['varint64 of 1700000000000', '80a0abfef962', (w) => w.varint64(1700000000000n)],
    ['varint64 of -1', '01', (w) => w.varint64(-1n)],
    ['varint64 of the smallest', 'ffffffffffffffffff01', (w) => w.varint64(-(2n ** 63n))],
  ])('writes %s', (_, hex, write) => {
    expect(hexOf(write)).toBe(hex);
  });

  test('keeps what it has when it grows, and forgets it on reset', () => {
    const writer = new ByteWriter(2);
    for (let i = 0; i < 1000; i++) writer.u8(i & 0xff);
    expect(Array.from(writer.view())).toEqual(Array.from({ length: 1000 }, (_, i) => i & 0xff));
    writer.reset();
    expect(writer.length).toBe(0);
    expect(writer.uvarint(1).copy()).toEqual(Uint8Array.of(1));
  });
});

describe('ByteReader', () => {
  test('reads back what was written', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.double(),
        (small, unsigned, signed, double) => {
          const bytes = new ByteWriter()
            .uvarint(small)
            .uvarint64(unsigned)
            .varint64(signed)
            .u64(unsigned)
            .u64be(unsigned)
            .f64(double)
            .u32be(7)
            .u32(8)
            .u16be(9)
            .copy();
          const reader = new ByteReader(bytes);
          expect([reader.uvarint(), reader.uvarint64(), reader.varint64()]).toEqual([
            small,
            unsigned,
            signed,
          ]);
          expect([reader.u64(), reader.u64be(), reader.f64()]).toEqual([unsigned, unsigned, double]);
          expect([reader.u32be(), reader.u32(), reader.u16be(), reader.remaining]).toEqual([7, 8, 9, 0]);
        },
      ),
      { seed: 1 },
    );
  });

  test('stays within its part', () => {
    const reader = new ByteReader(Uint8Array.of(1, 2, 3, 4, 5), 1, 4);
    expect(Array.from(reader.bytes(2))).toEqual([2, 3]);
    expect(reader.offset).toBe(3);
    reader.skip(1);
    expect(reader.remaining).toBe(0);
    expect(() => reader.u8()).toThrow(expect.objectContaining({ code: 'bytes-truncated' }));
  });

  test.each<[string, string, string, (reader: ByteReader) => unknown]>([
    ['bytes-truncated', 'a varint cut off', '8080', (r) => r.uvarint()],
    ['bytes-truncated', 'a word cut off', '010203', (r) => r.u32()],
    ['bytes-truncated', 'more bytes than there are', '01', (r) => r.bytes(2)],
    ['varint-overflow', 'a number above 53 bits', 'ffffffffffffff1f', (r) => r.uvarint()],
    ['varint-overflow', 'a number above 64 bits', 'ffffffffffffffffff02', (r) => r.uvarint64()],
    ['varint-overflow', 'eleven bytes', '8080808080808080808000', (r) => r.uvarint64()],
    ['varint-overflow', 'eleven bytes as a number', '8080808080808080808000', (r) => r.uvarint()],
  ])('throws %s on %s', (code, _, hex, read) => {
    expect(() => read(new ByteReader(bytesFromHex(hex)))).toThrow(
      expect.objectContaining({ kind: 'corruption', code }),
    );
  });
});

test('bytesFromHex refuses anything but pairs of digits', () => {
  expect(Array.from(bytesFromHex('00 fF\n10'))).toEqual([0, 255, 16]);
  expect(() => bytesFromHex('0')).toThrow(RangeError);
  expect(() => bytesFromHex('zz')).toThrow(RangeError);
});
