import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteReader } from './byte-reader.js';
import { FileByteSource, MemoryByteSource } from './byte-source.js';
import { ByteWriter } from './byte-writer.js';
import { crc32c } from './crc.js';
import { FileSink } from './file-sink.js';
import { IndexReader } from './index-reader.js';
import { IndexWriter } from './index-writer.js';
import { intersectPostings, subtractPostings, unitePostings } from './postings.js';
import { PostingsWriter } from './postings-writer.js';
import { SeriesEntry } from './series-entry.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-index-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('integers', () => {
  const edges = [
    0,
    1,
    127,
    128,
    2 ** 28 - 1,
    2 ** 28,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 35,
    2 ** 49 - 1,
    2 ** 49,
    2 ** 53 - 1,
  ];

  test('go through varints unchanged up to 53 bits', () => {
    for (const value of edges
      .flatMap((edge) => [edge, edge - 1, edge + 1])
      .filter((v) => Math.abs(v) < 2 ** 53)) {
      for (const signed of [value, 0 - value]) {
        const out = new ByteWriter(1);
        if (signed >= 0) {
          out.uvarint(signed);
          out.be64(signed);
        }
        out.varint(signed);
        const reader = new ByteReader('test', out.view());
        if (signed >= 0) expect([reader.uvarint(), reader.be64()]).toEqual([signed, signed]);
        expect(reader.varint() + 0).toBe(signed + 0);
        expect(reader.remaining).toBe(0);
      }
    }
  });

  test('agree with arithmetic on big integers', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
        const bytes: number[] = [];
        for (; raw >= 128n; raw >>= 7n) bytes.push(Number(raw & 127n) | 128);
        bytes.push(Number(raw));
        expect(new ByteReader('test', Uint8Array.from(bytes)).varint() + 0).toBe(Number(value));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  test.each([
    ['cut off', [0x80]],
    ['cut off late', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]],
    ['longer than ten bytes', new Array(11).fill(0x80)],
    ['above 64 bits', [...new Array(9).fill(0xff), 0x02]],
  ])('are refused when %s', (_name, bytes) => {
    expect(() => new ByteReader('test', Uint8Array.from(bytes)).uvarint()).toThrow(
      expect.objectContaining({ kind: 'corruption' }),
    );
  });
});

describe('the checksum', () => {
  test('has the published value and can be continued', () => {
    const bytes = Buffer.from('123456789');
    expect(crc32c(bytes).toString(16)).toBe('e3069283');
    for (let i = 0; i <= bytes.length; i++) expect(crc32c(bytes, i, 9, crc32c(bytes, 0, i))).toBe(0xe3069283);
  });
});

describe('postings', () => {
  const list = fc
    .uniqueArray(fc.integer({ min: 0, max: 400 }), { maxLength: 200 })
    .map((refs) => Uint32Array.from(refs).sort());

  test('are combined like sets', () => {
    fc.assert(
      fc.property(fc.array(list, { minLength: 2, maxLength: 4 }), (lists) => {
        const [a, b] = lists as [Uint32Array, Uint32Array];
        const inB = new Set(b);
        expect([...intersectPostings(a, b)]).toEqual([...a].filter((ref) => inB.has(ref)));
        expect([...subtractPostings(a, b)]).toEqual([...a].filter((ref) => !inB.has(ref)));
        expect([...unitePostings(lists)]).toEqual(
          [...new Set(lists.flatMap((l) => [...l]))].sort((x, y) => x - y),
        );
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  test('of very different lengths too', () => {
    const long = Uint32Array.from({ length: 10_000 }, (_, i) => i * 3);
    const short = Uint32Array.of(0, 1, 3, 299, 300, 29_996, 29_997, 29_998);
    expect([...intersectPostings(short, long)]).toEqual([0, 3, 300, 29_997]);
    expect([...intersectPostings(long, short)]).toEqual([0, 3, 300, 29_997]);
    expect([...subtractPostings(short, long)]).toEqual([1, 299, 29_996, 29_998]);
    expect(subtractPostings(long, short)).toHaveLength(9_996);
  });

  test('come out the same however small the batches are', () => {
    const write = (batch: number): Buffer => {
      const sink = new FileSink(join(folder, `lists-${batch}`));
      const writer = new PostingsWriter(join(folder, `spill-${batch}`), batch);
      // More than one spill of 256 Ki words.
      for (let i = 1; i <= 120_000; i++) writer.add(i, Uint32Array.of(1, i % 7, 2, i % 1000, 3, 500), 3);
      const { order, offsets } = writer.write(sink);
      expect([order.length, offsets.length]).toEqual([1008, 1008]);
      sink.finish();
      writer.close();
      expect(existsSync(join(folder, `spill-${batch}`))).toBe(false);
      return readFileSync(join(folder, `lists-${batch}`));
    };
    const whole = write(16 * 1024 * 1024);
    expect(write(50_000).equals(whole)).toBe(true);
    expect(write(1).subarray(0, 100).equals(whole.subarray(0, 100))).toBe(true);
  }, 60_000);
});

describe('an index', () => {
  /** Symbols n000.. as values of label a, each series with label b as well. */
  function build(count: number): IndexReader {
    const path = join(folder, 'index');
    const writer = new IndexWriter(path);
    const symbols = [
      'a',
      'b',
      ...Array.from({ length: count }, (_, i) => `n${String(i).padStart(4, '0')}`),
      'x'.repeat(70_000),
    ];
    for (const symbol of symbols) writer.addSymbol(symbol);
    const entry = new SeriesEntry();
    for (let i = 0; i < count; i++) {
      entry.ensureChunks(i + 1);
      entry.chunkCount = (i % 40) + 1;
      for (let c = 0; c < entry.chunkCount; c++) {
        entry.chunkMinTimes[c] = -5 + c * 10;
        entry.chunkMaxTimes[c] = -5 + c * 10 + (c % 9);
        entry.chunkRefs[c] = 8 + i * 1000 + c + (i > count / 2 ? 2 ** 32 : 0);
      }
      writer.addSeries(Uint32Array.of(0, 2 + i, 1, i % 3 === 0 ? count + 2 : 2 + (i % 3)), 2, entry);
    }
    writer.finish();
    return IndexReader.open(new FileByteSource(path));
  }

  test.each([1, 31, 32, 33, 64, 1000])('of %i series is read as it was written', (count) => {
    const index = build(count);
    expect(index.symbols.count).toBe(count + 3);
    for (let id = 0; id < index.symbols.count; id++)
      expect(index.symbols.find(index.symbols.text(id))).toBe(id);
    for (const missing of ['', 'A', 'aa', 'n', 'n0000x', 'nzzz', 'z'])
      expect(index.symbols.find(missing)).toBe(-1);
    expect(index.labelNames()).toEqual(['a', 'b']);
    const { values } = index.labelValues('a');
    expect(values).toHaveLength(count);
    expect(index.allPostings()).toHaveLength(count);
    const entry = new SeriesEntry();
    values.forEach((value, i) => {
      const refs = index.postings('a', value);
      expect([...refs]).toEqual([index.allPostings()[i]]);
      index.series(refs[0]!, entry);
      expect(entry.labels.slice(0, 3)).toEqual(Uint32Array.of(0, 2 + i, 1));
      expect([entry.labelCount, entry.chunkCount]).toEqual([2, (i % 40) + 1]);
      const last = entry.chunkCount - 1;
      expect([entry.chunkMinTimes[last], entry.chunkMaxTimes[last], entry.chunkRefs[last]]).toEqual([
        -5 + last * 10,
        -5 + last * 10 + (last % 9),
        8 + i * 1000 + last + (i > count / 2 ? 2 ** 32 : 0),
      ]);
    });
    for (const missing of ['', 'n', 'n9999', 'm', 'z']) expect(index.postings('a', missing)).toHaveLength(0);
    expect(index.postings('c', 'n0000')).toHaveLength(0);
    for (const prefix of [
      '',
      'n',
      'n0',
      'n00',
      'n001',
      'n0031',
      'n0032',
      'n05',
      'n0999',
      'm',
      'o',
      'n00000',
    ]) {
      const found = index.labelValuesWithPrefix('a', prefix);
      expect(found.values).toEqual(values.filter((value) => value.startsWith(prefix)));
      if (found.values.length > 0) {
        expect([...index.postingsAt(found.offsets[0]!)]).toEqual([...index.postings('a', found.values[0]!)]);
      }
    }
    expect(index.labelValuesWithPrefix('c', 'n').values).toEqual([]);
    expect(index.postings('b', 'x'.repeat(70_000))).toHaveLength(Math.ceil(count / 3));
    index.close();
  });

  test('refuses refs that lead nowhere', () => {
    const index = build(40);
    const entry = new SeriesEntry();
    const ref = index.allPostings()[38]!;
    for (const wrong of [0, 1, ref + 1, 2 ** 31]) {
      expect(() => index.series(wrong, entry)).toThrow(expect.objectContaining({ kind: 'corruption' }));
    }
    index.close();
  });

  test('needs no file', () => {
    build(40).close();
    const index = IndexReader.open(new MemoryByteSource('memory', readFileSync(join(folder, 'index'))));
    expect(index.postings('a', 'n0039')).toHaveLength(1);
  });
});
