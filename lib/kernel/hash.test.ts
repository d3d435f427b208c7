import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CodecKernel, codecKernel } from './index.js';
import { crc32cReference, xxhash64Reference } from './reference/index.js';

const kernel = new CodecKernel();
const ascii = (text: string) => new TextEncoder().encode(text);

describe('crc32c', () => {
  // RFC 3720, appendix B.4.
  test.each([
    ['nothing', new Uint8Array(0), 0],
    ['the check string', ascii('123456789'), 0xe3069283],
    ['32 zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ['32 rising bytes', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['32 falling bytes', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ])('of %s', (_, bytes, expected) => {
    expect(kernel.crc32c(bytes)).toBe(expected);
    expect(crc32cReference(bytes)).toBe(expected);
  });

  test('equals the reference at every length and alignment', () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i * 37);
    for (let from = 0; from < 9; from++) {
      for (let to = from; to < bytes.length; to++) {
        const part = bytes.subarray(from, to);
        expect(kernel.crc32c(part)).toBe(crc32cReference(part));
      }
    }
  });

  test('goes on where it stopped', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
        const whole = Uint8Array.from([...a, ...b]);
        expect(kernel.crc32c(b, kernel.crc32c(a))).toBe(crc32cReference(whole));
      }),
      { seed: 21, numRuns: 200 },
    );
  });

  test('takes long inputs piece by piece', () => {
    const bytes = Uint8Array.from({ length: 200_001 }, (_, i) => (i * i) >> 5);
    expect(kernel.crc32c(bytes)).toBe(crc32cReference(bytes));
  });
});

describe('xxhash64', () => {
  // The first rows are the vectors of the xxHash project and of common bindings.
  test.each([
    ['', 0n, 0xef46db3751d8e999n],
    ['a', 0n, 0xd24ec4f1a98c6e5bn],
    ['abc', 0n, 0x44bc2cf5ad770999n],
    ['Nobody inspects the spammish repetition', 0n, 0xfbcea83c8a378bf1n],
    ['xxhash', 0n, 0x32dd38952c4bc720n],
    ['xxhash', 20141025n, 0xb559b98d844e0635n],
  ])('of "%s" with seed %d', (text, seed, expected) => {
    expect(kernel.xxhash64(ascii(text), seed)).toBe(expected);
    expect(xxhash64Reference(ascii(text), seed)).toBe(expected);
  });

  test('equals the reference at every length and with any seed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 150 }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (bytes, seed) => {
          expect(kernel.xxhash64(bytes, seed)).toBe(xxhash64Reference(bytes, seed));
        },
      ),
      { seed: 22, numRuns: 500 },
    );
    for (let n = 0; n < 100; n++) {
      const bytes = Uint8Array.from({ length: n }, (_, i) => 255 - i);
      expect(kernel.xxhash64(bytes)).toBe(xxhash64Reference(bytes));
    }
  });
});

test('a thread has one shared instance', () => {
  expect(codecKernel()).toBe(codecKernel());
});
