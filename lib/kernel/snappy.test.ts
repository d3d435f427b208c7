// The kernel's snappy is held against a byte-by-byte twin (same bytes, same result codes, on valid and on hostile
// blocks) and against snappyjs. Tests of the raw exports put guard bytes around the output.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compress, uncompress } from 'snappyjs';
import { bytesFromHex } from '../bytes/index.js';
import { VarveError } from '../errors/index.js';
import { SeededPrng } from '../prng/index.js';
import { CodecKernel, createMemory, instantiate } from './index.js';
import { snappyDecodeReference, snappyEncodeReference } from './reference/index.js';

/** A remote write request of one sample. */
const MESSAGE =
  '0a2c0a0e0a085f5f6e616d655f5f120275700a080a036a6f62120161121009000000000000f03f1080d095ffbc31';
const LIMIT = 1 << 22;
const kernel = new CodecKernel();

interface Raw {
  snappyDecode(src: number, length: number, dst: number, capacity: number): number;
  snappyDeclaredLength(src: number, length: number): bigint;
  snappyEncode(src: number, length: number, dst: number, table: number): number;
  snappyMaxEncodedLength(length: number): number;
}
const memory = createMemory(1 << 20);
const raw = instantiate<Raw>(memory);
const heap = new Uint8Array(memory.buffer);
const SRC = 65536;
const DST = 524288;

/** Decodes with guards around dst; returns the bytes or the result code, like the reference. */
function decodeGuarded(block: Uint8Array, capacity: number): Uint8Array | number {
  heap.fill(0xa5, DST - 64, DST + capacity + 64 + 1024);
  heap.set(block, SRC);
  const length = raw.snappyDecode(SRC, block.length, DST, capacity);
  for (let i = 0; i < 64; i++) {
    if (heap[DST - 1 - i] !== 0xa5) throw new Error(`wrote ${i + 1} bytes before dst`);
  }
  for (let i = 0; i < 1024; i++) {
    if (heap[DST + capacity + 64 + i] !== 0xa5) throw new Error(`wrote ${i} bytes behind the slack`);
  }
  return length < 0 ? length : heap.slice(DST, DST + length);
}

function plain(result: Uint8Array | number): string | number {
  return typeof result === 'number' ? result : Buffer.from(result).toString('hex');
}

/** Bytes with repeats at many distances: what a matcher has to do with. */
function compressible(seed: number, length: number): Uint8Array {
  const prng = new SeededPrng(seed);
  const out = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const run = Math.min(length - at, 1 + prng.nextInt(90));
    const offset =
      prng.nextInt(3) === 0 ? 0 : 1 + prng.nextInt(Math.min(at, prng.nextInt(2) ? 20 : 70000) || 1);
    for (let i = 0; i < run; i++, at++) {
      out[at] = offset === 0 || offset > at ? prng.nextInt(256) : out[at - offset]!;
    }
  }
  return out;
}

/** Elements that a decoder may meet, with the bytes that they decode to when they are valid where they stand. */
const element = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => literal([(bytes.length - 1) << 2], bytes)),
  fc
    .uint8Array({ minLength: 1, maxLength: 300 })
    .map((bytes) => literal([61 << 2, (bytes.length - 1) & 0xff, (bytes.length - 1) >> 8], bytes)),
  fc.tuple(fc.nat(7), fc.nat(40)).map(([n, offset]) => ({ length: n + 4, bytes: [(n << 2) | 1, offset] })),
  fc
    .tuple(fc.nat(63), fc.nat(70))
    .map(([n, offset]) => ({ length: n + 1, bytes: [(n << 2) | 2, offset, 0] })),
  fc
    .tuple(fc.nat(63), fc.nat(70))
    .map(([n, offset]) => ({ length: n + 1, bytes: [(n << 2) | 3, offset, 0, 0, 0] })),
);

function literal(head: readonly number[], bytes: Uint8Array) {
  return { length: bytes.length, bytes: [...head, ...bytes] };
}

describe('decoding', () => {
  test.each([
    ['an empty block', '00', ''],
    ['a literal', '04 0c 01020304', '01020304'],
    ['a literal with one byte of length', '04 f0 03 01020304', '01020304'],
    ['a literal with four bytes of length', '04 fc 03000000 01020304', '01020304'],
    ['a copy with one byte of offset', '08 0c 01020304 01 04', '0102030401020304'],
    ['a copy with two bytes of offset', '06 0c 01020304 06 0300', '010203040203'],
    ['a copy with four bytes of offset', '05 0c 01020304 03 01000000', '0102030404'],
    ['an overlapping copy', '0a 04 0102 11 02', '01020102010201020102'],
    ['a preamble with needless bytes', '84 00 0c 01020304', '01020304'],
    ['a remote write message as a reference sender packs it', `2eb4${MESSAGE}`, MESSAGE],
  ])('reads %s', (_, block, expected) => {
    const bytes = bytesFromHex(block);
    expect(plain(kernel.snappyDecode(bytes, LIMIT))).toEqual(plain(bytesFromHex(expected)));
  });

  test.each([
    ['snappy-bad-preamble', 'nothing', ''],
    ['snappy-bad-preamble', 'a preamble cut off', '80'],
    ['snappy-bad-preamble', 'a preamble of 33 bits', 'ffffffff1f'],
    ['snappy-bad-preamble', 'a preamble of six bytes', '808080808000'],
    ['snappy-too-long', 'a length above the limit', 'ffffffff0f'],
    ['snappy-truncated', 'a literal cut off', '04 0c 010203'],
    ['snappy-truncated', 'the length of a literal cut off', '04 f4 03'],
    ['snappy-truncated', 'a literal of 2^32 bytes', '04 fc ffffffff 01020304'],
    ['snappy-truncated', 'an offset cut off', '08 0c 01020304 0e 04'],
    ['snappy-bad-offset', 'offset 0', '08 0c 01020304 01 00'],
    ['snappy-bad-offset', 'an offset before the start', '08 0c 01020304 01 05'],
    ['snappy-bad-offset', 'an offset of 2^32 - 1', '08 0c 01020304 0f ffffffff'],
    ['snappy-wrong-length', 'a literal longer than declared', '03 0c 01020304'],
    ['snappy-wrong-length', 'a copy longer than declared', '07 0c 01020304 01 04'],
    ['snappy-wrong-length', 'less than declared', '05 0c 01020304'],
    ['snappy-wrong-length', 'something after the end', '04 0c 01020304 00 05'],
  ])('refuses with %s: %s', (code, _, block) => {
    let thrown: unknown = null;
    try {
      kernel.snappyDecode(bytesFromHex(block), LIMIT);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(VarveError);
    expect(thrown).toMatchObject({ kind: 'client', code });
  });

  test('accepts a length equal to the limit and not one more', () => {
    const block = kernel.snappyEncode(new Uint8Array(1000));
    expect(kernel.snappyDecode(block, 1000)).toHaveLength(1000);
    expect(() => kernel.snappyDecode(block, 999)).toThrow(
      expect.objectContaining({ code: 'snappy-too-long' }),
    );
  });

  test('agrees with the reference on every copy length and small offset', () => {
    const seed = Array.from({ length: 40 }, (_, i) => i * 7);
    for (let offset = 1; offset <= 40; offset++) {
      for (let length = 1; length <= 64; length++) {
        const block = Uint8Array.from([40 + length, 39 << 2, ...seed, ((length - 1) << 2) | 2, offset, 0]);
        expect(plain(decodeGuarded(block, 40 + length))).toEqual(plain(snappyDecodeReference(block, LIMIT)));
      }
    }
  });

  test('agrees with the reference on arbitrary elements, and writes nothing outside', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.array(element, { maxLength: 12 }),
        fc.oneof(fc.constant(0), fc.integer({ min: -70, max: 70 })),
        (first, elements, error) => {
          const all = [literal([(first.length - 1) << 2], first), ...elements];
          const declared = Math.max(
            0,
            all.reduce((sum, { length }) => sum + length, error),
          );
          const bytes = block(
            declared,
            all.flatMap((one) => one.bytes),
          );
          expect(plain(decodeGuarded(bytes, declared))).toEqual(
            plain(snappyDecodeReference(bytes, declared)),
          );
        },
      ),
      { seed: 11, numRuns: 2000 },
    );
  });

  test('agrees with the reference on every truncation and on flipped bits', () => {
    const source = compressible(5, 3000);
    for (const valid of [kernel.snappyEncode(source), compress(source)]) {
      for (let n = 0; n < valid.length; n += 1 + (n >> 6)) {
        const cut = valid.subarray(0, n);
        const result = snappyDecodeReference(cut, 3000);
        expect(typeof result).toBe('number');
        expect(decodeGuarded(cut, 3000)).toBe(result);
      }
      const prng = new SeededPrng(3);
      for (let i = 0; i < 600; i++) {
        const flipped = valid.slice();
        const at = i < 40 ? i >> 3 : prng.nextInt(valid.length);
        flipped[at] = flipped[at]! ^ (1 << (i & 7));
        expect(plain(decodeGuarded(flipped, 3000))).toEqual(plain(snappyDecodeReference(flipped, 3000)));
      }
    }
  });

  test('agrees with the reference on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(400), (bytes, capacity) => {
        expect(plain(decodeGuarded(bytes, capacity))).toEqual(plain(snappyDecodeReference(bytes, capacity)));
      }),
      { seed: 12, numRuns: 2000 },
    );
  });
});

describe('encoding', () => {
  const lengths = [0, 1, 2, 15, 16, 17, 18, 60, 61, 256, 257, 1000, 65535, 65536, 65537, 65553, 200000];
  test.each(lengths)('makes %d bytes that come back, here and in snappyjs', (length) => {
    for (const bytes of [new Uint8Array(length), compressible(length + 1, length), noise(length)]) {
      const encoded = kernel.snappyEncode(bytes);
      expect(encoded.length).toBeLessThanOrEqual(raw.snappyMaxEncodedLength(length) - 64);
      expect(Buffer.compare(kernel.snappyDecode(encoded, length), bytes)).toBe(0);
      if (length > 0) expect(Buffer.compare(uncompress(encoded), bytes)).toBe(0);
      expect(Buffer.compare(kernel.snappyDecode(compress(bytes), length), bytes)).toBe(0);
      expect(Buffer.compare(kernel.snappyDecode(snappyEncodeReference(bytes), length), bytes)).toBe(0);
    }
  });

  test('compresses about as well as snappyjs', () => {
    const text = Array.from(
      { length: 3000 },
      (_, i) => `__name__="http_requests_total",instance="10.0.${i % 7}.${i % 250}:9090",n="${i}"`,
    ).join('\n');
    const bytes = new TextEncoder().encode(text);
    expect(kernel.snappyEncode(bytes).length).toBeLessThanOrEqual(compress(bytes).length * 1.02);
  });

  test('round-trips arbitrary inputs, and writes nothing outside', () => {
    fc.assert(
      fc.property(fc.nat(1 << 30), fc.nat(5000), (seed, length) => {
        const bytes = compressible(seed, length);
        const capacity = raw.snappyMaxEncodedLength(length);
        heap.fill(0xa5, DST - 64, DST + capacity + 1024);
        heap.set(bytes, SRC);
        const n = raw.snappyEncode(SRC, length, DST, 16384);
        expect(heap.subarray(DST - 64, DST).every((byte) => byte === 0xa5)).toBe(true);
        expect(heap.subarray(DST + capacity, DST + capacity + 1024).every((byte) => byte === 0xa5)).toBe(
          true,
        );
        expect(plain(snappyDecodeReference(heap.slice(DST, DST + n), length))).toEqual(plain(bytes));
      }),
      { seed: 13, numRuns: 150 },
    );
  });

  test('returns arrays of their own', () => {
    const first = kernel.snappyEncode(Uint8Array.from([1, 2, 3]));
    const kept = Array.from(first);
    kernel.snappyEncode(Uint8Array.from([9, 9, 9, 9]));
    expect(Array.from(first)).toEqual(kept);
  });
});

function block(declared: number, body: readonly number[]): Uint8Array {
  return Uint8Array.from([(declared & 0x7f) | 0x80, declared >> 7, ...body]);
}

function noise(length: number): Uint8Array {
  const prng = new SeededPrng(length);
  return Uint8Array.from({ length }, () => prng.nextInt(256));
}
