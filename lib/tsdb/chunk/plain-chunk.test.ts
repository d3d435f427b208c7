import { describe, expect, test } from '@jest/globals';
import { bytesFromHex, bytesToHex } from '../../bytes/index.js';
import { HistogramDecoder } from './histogram-decoder.js';
import { addStartTimes, PlainChunkWriter } from './plain-chunk.js';

/** Pairs of vectors by the reference: the same samples with and without start times (spec: chunks.md §3, §4, §6, §8). */

const writer = new PlainChunkWriter();

describe('a chunk with start times', () => {
  test.each([
    [
      4,
      '00040080a0abfef96200000000000000009875c22bffa12fffd603',
      1,
      '000480a0abfef96200000000000000009875c457fec25fff6c06',
    ],
    [
      5,
      '000381748ca48c5fc0003179fcad0018a920193333333333334651b0ea01f83a98a476676ccccccccccce211be91fea200',
      2,
      '000300748ca48c5fc0003179fcad0018a920193333333333334651f83a98a476676ccccccccccce2237d23fd44',
    ],
    // The float chunk of two samples, whose header has another place for the count.
    [
      6,
      '000200748ca48c5fc0003179fcad000804800000000000080000000000000008064cccccccccccc7fe000000000000080100000000000008020000000000001f07531b01ec07b33b66666666666784bfffac2f6830',
      3,
      '000200748ca48c5fc0003179fcad000804800000000000080000000000000008064cccccccccccc7fe000000000000080100000000000008020000000000001f07531b01ec07b33b66666666666784bfffac2f6830',
    ],
    [5, '800000', 2, '000080'],
    [6, 'c00000', 3, '0000c0'],
  ])('of encoding %i %s is one of encoding %i without them', (encoding, before, plain, after) => {
    const chunk = writer.write(encoding, bytesFromHex(before));
    expect({ ...chunk, data: bytesToHex(chunk.data) }).toEqual({ encoding: plain, data: after });
  });

  test.each([0, 1, 3, 255])('is none of encoding %i', (encoding) => {
    expect(() => writer.write(encoding, new Uint8Array(3))).toThrow(
      expect.objectContaining({ kind: 'corruption' }),
    );
  });
});

describe('a chunk without start times', () => {
  const T = 1_700_000_000_000;
  const H1 = '000300748ca48c5fc0003179fcad0018a920193333333333334651f83a98a476676ccccccccccce2237d23fd44';
  const S2 =
    '000381748ca48c5fc0003179fcad0018a920193333333333334651b0ea01f83a98a476676ccccccccccce211be91fea200';

  test('is given them as the reference writes them', () => {
    const starts = Float64Array.of(T - 15_000, T, T + 15_000);
    const chunk = addStartTimes(2, bytesFromHex(H1), starts);
    expect({ ...chunk, data: bytesToHex(chunk.data) }).toEqual({ encoding: 5, data: S2 });
  });

  test('of floats is given them, too', () => {
    const plain = bytesFromHex(
      '000200748ca48c5fc0003179fcad000804800000000000080000000000000008064cccccccccccc7fe000000000000080100000000000008020000000000001f07531b01ec07b33b66666666666784bfffac2f6830',
    );
    const starts = Float64Array.of(0, T + 1);
    const chunk = addStartTimes(3, plain, starts);
    expect(chunk.encoding).toBe(6);
    expect(new HistogramDecoder().decode(6, chunk.data).startTimestamps).toEqual(starts);
    expect(bytesToHex(writer.write(6, chunk.data).data)).toBe(bytesToHex(plain));
  });
});
