import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createMemory, instantiate, LABEL_FINDING, ScanKernel } from './index.js';
import { bytesField, labelField, snappy, uvarintBytes, writeRequest } from './testing/write-request.js';

// The scanner is held against a decoder of the message that is written for clarity: strict proto3, except that it looks
// only at the length of histograms, exemplars and metadata, as the scanner does.

interface Decoded {
  readonly series: { labels: Buffer; times: bigint[]; bits: bigint[] }[];
  histograms: [series: number, message: Buffer][];
  exemplars: number;
  metadata: Buffer[];
}

class Malformed extends Error {}

function* fields(
  bytes: Buffer,
): Generator<{ field: number; wire: number; value: bigint; payload: Buffer; raw: Buffer }> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = bytes[at++];
      if (byte === undefined || (i === 9 && byte > 1)) throw new Malformed();
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return value;
    }
    throw new Malformed();
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const field = tag >> 3n;
    const wire = Number(tag & 7n);
    if (field === 0n || field > 0x1fffffffn) throw new Malformed();
    let value = 0n;
    let length = 0;
    if (wire === 0) value = varint();
    else if (wire === 1) length = 8;
    else if (wire === 5) length = 4;
    else if (wire === 2) length = Number(varint());
    else throw new Malformed();
    if (length > bytes.length - at) throw new Malformed();
    const payload = bytes.subarray(at, at + length);
    at += length;
    yield { field: Number(field), wire, value, payload, raw: bytes.subarray(start, at) };
  }
}

function decode(message: Uint8Array): Decoded | null {
  const decoded: Decoded = { series: [], histograms: [], exemplars: 0, metadata: [] };
  const want = (wire: number, wanted: number) => {
    if (wire !== wanted) throw new Malformed();
  };
  try {
    for (const { field, wire, payload } of fields(Buffer.from(message))) {
      if (field === 1) {
        want(wire, 2);
        const labels: Buffer[] = [];
        const series = { labels: Buffer.alloc(0), times: [] as bigint[], bits: [] as bigint[] };
        for (const inner of fields(payload)) {
          if (inner.field <= 4) want(inner.wire, 2);
          if (inner.field === 1) labels.push(inner.raw);
          else if (inner.field === 2) {
            let time = 0n;
            let bits = 0n;
            for (const part of fields(inner.payload)) {
              if (part.field === 1) want(part.wire, 1);
              if (part.field === 2) want(part.wire, 0);
              if (part.field === 1) bits = part.payload.readBigUInt64LE();
              else if (part.field === 2) time = BigInt.asIntN(64, part.value);
            }
            series.times.push(time);
            series.bits.push(bits);
          } else if (inner.field === 3) decoded.exemplars++;
          else if (inner.field === 4) decoded.histograms.push([decoded.series.length, inner.payload]);
        }
        series.labels = Buffer.concat(labels);
        decoded.series.push(series);
      } else if (field === 3) {
        want(wire, 2);
        decoded.metadata.push(payload);
      }
    }
  } catch (thrown) {
    if (thrown instanceof Malformed) return null;
    throw thrown;
  }
  return decoded;
}

const kernel = new ScanKernel();

function scan(message: Uint8Array): Decoded | null {
  const body = snappy(message);
  try {
    kernel.load([body.subarray(0, 3), body.subarray(3)], body.length, 2 ** 27);
  } catch (thrown) {
    expect(thrown).toMatchObject({ kind: 'client', code: 'write-request-malformed' });
    return null;
  }
  const { seriesCount, starts, times, values, histograms, histogramCount, exemplarCount, metadataCount } =
    kernel.columns;
  const view = new DataView(kernel.bytes.buffer);
  return {
    series: Array.from({ length: seriesCount }, (_, i) => {
      const from = view.getUint32(starts + i * 4, true);
      const count = kernel.sampleCountOf(i);
      return {
        labels: Buffer.from(kernel.labelBytes(i)),
        times: Array.from({ length: count }, (_, k) => view.getBigInt64(times + (from + k) * 8, true)),
        bits: Array.from({ length: count }, (_, k) => view.getBigUint64(values + (from + k) * 8, true)),
      };
    }),
    histograms: Array.from({ length: histogramCount }, (_, i) => {
      const [from, length] = [4, 8].map((at) => view.getUint32(histograms + i * 12 + at, true));
      return [
        view.getUint32(histograms + i * 12, true),
        Buffer.from(kernel.bytes.slice(from!, from! + length!)),
      ];
    }),
    exemplars: exemplarCount,
    metadata: Array.from({ length: metadataCount }, (_, i) => Buffer.from(kernel.metadataBytes(i))),
  };
}

const textArbitrary = fc.string({ maxLength: 12, unit: 'binary' });
const varintArbitrary = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const lengthArbitrary = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 10 }));

const unknownField = fc
  .tuple(fc.integer({ min: 6, max: 0x1fffffff }), fc.constantFrom(0, 1, 2, 5), varintArbitrary)
  .map(([field, wire, value]) => {
    const tag = uvarintBytes(BigInt(field) * 8n + BigInt(wire));
    if (wire === 0) return Buffer.from([...tag, ...uvarintBytes(value)]);
    return Buffer.from([
      ...tag,
      ...(wire === 1 ? new Array(8).fill(7) : wire === 5 ? [1, 2, 3, 4] : [2, 9, 9]),
    ]);
  });
const sampleArbitrary = fc
  .tuple(
    fc.option(varintArbitrary),
    fc.option(varintArbitrary),
    lengthArbitrary,
    fc.option(unknownField),
    fc.boolean(),
  )
  .map(([bits, time, length, unknown, swapped]) => {
    const value = Buffer.alloc(9, 0x09);
    value.writeBigUInt64LE(bits ?? 0n, 1);
    const parts = [
      bits === null ? Buffer.alloc(0) : value,
      time === null ? Buffer.alloc(0) : Buffer.from([0x10, ...uvarintBytes(time, length)]),
    ];
    if (swapped) parts.reverse();
    return bytesField(2, Buffer.concat([...parts, unknown ?? Buffer.alloc(0)]));
  });
const seriesArbitrary = fc
  .tuple(
    fc.array(
      fc.tuple(textArbitrary, textArbitrary).map(([name, value]) => labelField(name, value)),
      { maxLength: 4 },
    ),
    fc.array(sampleArbitrary, { maxLength: 4 }),
    fc.array(
      fc.oneof(
        unknownField,
        fc.constant(bytesField(3, Buffer.from('exemplar'))),
        fc.constant(bytesField(4, Buffer.from('histogram'))),
      ),
      { maxLength: 2 },
    ),
    fc.boolean(),
    fc.infiniteStream(fc.nat()),
  )
  .map(([labels, samples, others, shuffled, random]) => {
    const parts = [...labels, ...samples, ...others];
    if (shuffled) parts.sort(() => (random.next().value! % 3) - 1);
    return bytesField(1, Buffer.concat(parts));
  });
const requestArbitrary = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: seriesArbitrary },
      unknownField,
      fc.constant(bytesField(3, Buffer.from('meta'))),
    ),
    {
      maxLength: 6,
    },
  )
  .map((parts) => Buffer.concat(parts));

describe('the scan of a write request', () => {
  test('gives the columns that a plain decoder gives', () => {
    fc.assert(
      fc.property(requestArbitrary, (message) => {
        const expected = decode(message);
        expect(expected).not.toBeNull();
        expect(scan(message)).toEqual(expected);
      }),
      { seed: 1, numRuns: 400 },
    );
  });

  test('accepts and refuses damaged messages as the plain decoder does', () => {
    fc.assert(
      fc.property(
        requestArbitrary,
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 }),
        fc.nat(),
        (message, flips, cut) => {
          const damaged = Buffer.from(message);
          for (const [at, byte] of flips) if (damaged.length > 0) damaged[at % damaged.length] = byte;
          expect(scan(damaged)).toEqual(decode(damaged));
          const short = message.subarray(0, message.length === 0 ? 0 : cut % message.length);
          expect(scan(short)).toEqual(decode(short));
        },
      ),
      { seed: 2, numRuns: 1500 },
    );
  });

  test('accepts every prefix that is a message, and no other', () => {
    const message = writeRequest([
      {
        labels: [
          ['__name__', 'up'],
          ['job', 'x'.repeat(200)],
        ],
        samples: [
          { timeMs: 1_700_000_000_000n, bits: 5n },
          { timeMs: -1n, bits: 0n },
        ],
      },
      { labels: [['__name__', 'down']], samples: [] },
    ]);
    for (let length = 0; length <= message.length; length++)
      expect(scan(message.subarray(0, length))).toEqual(decode(message.subarray(0, length)));
  });

  test.each<[string, number[]]>([
    ['a length beyond the end', [0x0a, 0x05, 0x0a]],
    ['a length of 2^32 + 1', [0x0a, 0x81, 0x80, 0x80, 0x80, 0x10, 0x00]],
    ['a length of 2^64 - 1', [0x0a, ...uvarintBytes(2n ** 64n - 1n)]],
    ['a varint of eleven bytes', [0x30, ...new Array(10).fill(0x80), 0x00]],
    ['a varint above 64 bits', [0x30, ...new Array(9).fill(0xff), 0x02]],
    ['field 0', [0x02, 0x00]],
    ['a group', [0x33, 0x34]],
    ['timeseries as a varint', [0x08, 0x01]],
    ['a sample value as a varint', [0x0a, 0x04, 0x12, 0x02, 0x08, 0x01]],
    ['a sample that reaches out of its series', [0x0a, 0x04, 0x12, 0x09, 0x09, 0x00]],
  ])('refuses %s', (_name, bytes) => {
    expect(scan(Uint8Array.from(bytes))).toBeNull();
    expect(decode(Uint8Array.from(bytes))).toBeNull();
  });

  test('refuses what is padded with empty messages, in bounded memory', () => {
    expect(() => scan(Buffer.alloc(2_000_000, Buffer.from([0x0a, 0x00])))).not.toThrow();
    expect(scan(Buffer.alloc(2_000_000, Buffer.from([0x0a, 0x00])))).toBeNull();
  });

  test('notes the histograms of series without samples, and refuses padding with empty ones', () => {
    const up = labelField('__name__', 'up');
    const series = [bytesField(4, Buffer.from('a')), bytesField(4, new Uint8Array(0))];
    const message = Buffer.concat([
      bytesField(1, up),
      bytesField(1, Buffer.concat([series[0]!, up, ...series])),
    ]);
    expect(scan(message)).toMatchObject({
      series: [{ times: [] }, { labels: Buffer.from(up), times: [] }],
      histograms: [
        [1, Buffer.from('a')],
        [1, Buffer.from('a')],
        [1, Buffer.alloc(0)],
      ],
    });
    const padded = bytesField(1, Buffer.alloc(2_000_000, Buffer.from([0x22, 0x00])));
    expect(() => scan(padded)).not.toThrow();
    expect(scan(padded)).toBeNull();
  });

  test('refuses snappy bombs before memory grows', () => {
    const fresh = new ScanKernel();
    const before = fresh.bytes.length;
    const bomb = Uint8Array.from([...uvarintBytes(100_000_000n), 0x00, 0x41]);
    expect(() => fresh.load([bomb], bomb.length, 2 ** 27)).toThrow(
      expect.objectContaining({ code: 'snappy-invalid' }),
    );
    const large = Uint8Array.from([...uvarintBytes(2n ** 31n), ...new Array(100).fill(0)]);
    expect(() => fresh.load([large], large.length, 2 ** 20)).toThrow(
      expect.objectContaining({ code: 'body-too-large' }),
    );
    for (const bytes of [
      [],
      [0x80],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0x05, 0x00],
      [0x03, 0x09, 0x00, 0x00],
    ]) {
      const body = Uint8Array.from(bytes);
      expect(() => fresh.load([body], body.length, 2 ** 27)).toThrow(
        expect.objectContaining({ code: 'snappy-invalid' }),
      );
    }
    expect(fresh.bytes.length).toBe(before);
  });
});

describe('the fingerprint', () => {
  const memory = createMemory(65_536);
  const exports = instantiate<{
    fingerprintSeed(a: number, b: number, c: number, d: number): void;
    fingerprint(address: number, length: number): void;
    readonly hash1: { readonly value: bigint };
    readonly hash2: { readonly value: bigint };
    xxhash64(address: number, length: number, seed: bigint): bigint;
  }>(memory);
  const hashes = (bytes: Uint8Array, at = 20_000): [bigint, bigint] => {
    new Uint8Array(memory.buffer).set(bytes, at);
    exports.fingerprint(at, bytes.length);
    return [BigInt.asUintN(64, exports.hash1.value), BigInt.asUintN(64, exports.hash2.value)];
  };

  test.each([
    ['', 0xef46db3751d8e999n],
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
    ['Nobody inspects the spammish repetition', 0xfbcea83c8a378bf1n],
  ])('begins with XXH64 of %p', (text, expected) => {
    exports.fingerprintSeed(0, 0, 1, 2);
    expect(hashes(Buffer.from(text))[0]).toBe(expected);
  });

  test('is XXH64 for every length and seed, and its second half differs wherever the bytes do', () => {
    exports.fingerprintSeed(0x9abcdef0, 0x12345678, 3, 4);
    const bytes = Uint8Array.from({ length: 200 }, (_, i) => (i * 151) & 255);
    const seen = new Set<bigint>();
    for (let length = 0; length <= 200; length++) {
      const [first, second] = hashes(bytes.subarray(0, length), 20_001);
      expect(first).toBe(BigInt.asUintN(64, exports.xxhash64(20_001, length, 0x123456789abcdef0n)));
      seen.add(second);
      if (length === 0) continue;
      const flipped = Uint8Array.from(bytes.subarray(0, length));
      flipped[length - 1] = flipped[length - 1]! ^ 1;
      seen.add(hashes(flipped)[1]);
    }
    expect(seen.size).toBe(401);
  });
});

describe('validation of labels', () => {
  const limits = { labelCountMax: 4, nameBytesMax: 10, valueBytesMax: 12, labelSetBytesMax: 40 };
  const name = labelField('__name__', 'up');
  const raw = (nameBytes: number[], valueBytes: number[]) =>
    bytesField(
      1,
      Buffer.concat([bytesField(1, Uint8Array.from(nameBytes)), bytesField(2, Uint8Array.from(valueBytes))]),
    );
  const rows: [string, keyof typeof LABEL_FINDING, Uint8Array[], string][] = [
    ['sorted labels', 'canonical', [name, labelField('a', 'b')], ''],
    ['UTF-8', 'canonical', [name, labelField('ü', '\u{1f600}\u{10ffff}')], ''],
    ['unsorted labels', 'toNormalise', [labelField('a', 'b'), name], ''],
    ['an empty value', 'toNormalise', [name, labelField('a', '')], ''],
    [
      'the value before the name',
      'toNormalise',
      [
        name,
        bytesField(1, Buffer.concat([bytesField(2, Buffer.from('b')), bytesField(1, Buffer.from('a'))])),
      ],
      '',
    ],
    [
      'a name twice in one label',
      'toNormalise',
      [
        name,
        bytesField(
          1,
          Buffer.concat([
            bytesField(1, Buffer.from('x')),
            bytesField(1, Buffer.from('a')),
            bytesField(2, Buffer.from('b')),
          ]),
        ),
      ],
      '',
    ],
    [
      'an unknown field',
      'toNormalise',
      [
        name,
        bytesField(
          1,
          Buffer.concat([
            bytesField(1, Buffer.from('a')),
            bytesField(2, Buffer.from('b')),
            bytesField(9, Buffer.from('c')),
          ]),
        ),
      ],
      '',
    ],
    [
      'a long varint',
      'toNormalise',
      [name, Buffer.from([0x0a, 0x87, 0x00, 0x0a, 0x01, 0x61, 0x12, 0x81, 0x00, 0x62])],
      '',
    ],
    ['no metric name', 'missingName', [labelField('a', 'b')], ''],
    ['no labels', 'missingName', [], ''],
    ['an empty metric name', 'missingName', [labelField('__name__', '')], ''],
    ['too many labels', 'tooMany', [name, ...['a', 'b', 'c', 'd'].map((x) => labelField(x, x))], ''],
    ['a long name', 'nameTooLong', [name, labelField('abcdefghijk', 'x')], 'abcdefghijk'],
    ['a long value', 'valueTooLong', [name, labelField('a', '1234567890123')], 'a'],
    [
      'too much altogether',
      'tooLarge',
      [name, ...['a', 'b', 'c'].map((x) => labelField(x, '123456789012'))],
      '',
    ],
    ['an empty name', 'nameInvalid', [name, labelField('', 'x')], ''],
    ['a missing name', 'nameInvalid', [name, bytesField(1, bytesField(2, Buffer.from('x')))], ''],
    ['a name that is not UTF-8', 'nameInvalid', [name, raw([0xc0, 0x80], [0x61])], '\ufffd\ufffd'],
    ['an overlong form', 'valueInvalid', [name, raw([0x61], [0xe0, 0x80, 0x80])], 'a'],
    ['a surrogate', 'valueInvalid', [name, raw([0x61], [0xed, 0xa0, 0x80])], 'a'],
    ['a code point too high', 'valueInvalid', [name, raw([0x61], [0xf4, 0x90, 0x80, 0x80])], 'a'],
    ['a character cut off', 'valueInvalid', [name, raw([0x61], [0x62, 0xe2, 0x82])], 'a'],
    [
      'a metric name that is not UTF-8',
      'metricNameInvalid',
      [raw([...Buffer.from('__name__')], [0xff])],
      '\ufffd',
    ],
    ['a name twice', 'duplicate', [name, labelField('a', 'b'), labelField('a', 'c')], 'a'],
    ['a label with a wrong type', 'malformed', [name, bytesField(1, Uint8Array.from([0x08, 0x01]))], ''],
    ['a label that ends early', 'malformed', [name, bytesField(1, Uint8Array.from([0x0a, 0x05, 0x61]))], ''],
    [
      'a malformed label behind a bad one',
      'malformed',
      [labelField('', 'x'), bytesField(1, Uint8Array.from([0x0a, 0x05, 0x61]))],
      '',
    ],
    ['a label with field 0', 'malformed', [name, bytesField(1, Uint8Array.from([0x00, 0x01]))], ''],
  ];
  test.each(rows)('%s: %s', (_what, finding, labels, offending) => {
    const body = snappy(bytesField(1, Buffer.concat(labels)));
    kernel.load([body], body.length, 2 ** 20);
    kernel.setLabelLimits(limits);
    expect(kernel.validate(0)).toBe(LABEL_FINDING[finding]);
    if (finding !== 'malformed') expect(kernel.offendingLabel()).toBe(offending);
    kernel.setLabelLimits({ labelCountMax: 0, nameBytesMax: 0, valueBytesMax: 0, labelSetBytesMax: 0 });
    const lifted = kernel.validate(0);
    if (finding.startsWith('too') || finding.endsWith('TooLong'))
      expect(lifted).toBe(LABEL_FINDING.canonical);
  });
});
