import { describe, expect, test } from '@jest/globals';
import {
  HistogramLayout,
  IntegerHistogram,
  NO_SPANS,
  parseHistogramNotation,
  spansOf,
} from '../histogram/index.js';
import { codecKernel } from '../kernel/index.js';
import { labelsFromObject } from '../labels/index.js';
import { createMatcher } from '../matcher/index.js';
import { MemoryQueryable } from '../promql/testing/index.js';
import { CHUNK_ENCODING } from '../storage/index.js';
import { HistogramAppender } from '../tsdb/chunk/index.js';
import { parseWriteRequest, type ReadQuery } from '../wire/index.js';
import { contentTypeOf, negotiate } from './accept.js';
import { federate } from './federate.js';
import { escapeName } from './label-escape.js';
import { readChunks, readSamples } from './remote-read.js';
import { TaskGuard } from './task-guard.js';

const guard = new TaskGuard({ isCancelled: () => false, deadlineMs: Number.POSITIVE_INFINITY, queuedMs: 0 });
const budget = {
  seriesMax: 0,
  chunksMax: 0,
  bytesMax: 0,
  samplesMax: 0,
  memoryBytesMax: 0,
  answerBytesMax: 0,
};
const STALE = new Float64Array(new BigUint64Array([0x7ff0000000000002n]).buffer);

function source(): MemoryQueryable {
  const found = new MemoryQueryable();
  const floats = (labels: Record<string, string>, times: readonly number[], values: Float64Array) =>
    found.append(labelsFromObject(labels), Float64Array.from(times), values);
  floats({ __name__: 'up', job: 'b' }, [1000, 2000, 3000], Float64Array.of(1, 0, 3));
  floats({ __name__: 'up', job: 'a' }, [1000, 2000], Float64Array.of(5, 6));
  // Late samples in a chunk of their own, one of them a second time.
  floats({ __name__: 'up', job: 'a' }, [1500, 2000, 2500], Float64Array.of(7, 8, 9));
  const stale = new Float64Array(2);
  stale[0] = 4;
  stale.set(STALE, 1);
  floats({ __name__: 'gone', job: 'a' }, [1000, 2000], stale);

  const float = HistogramAppender.floats();
  const text = '{{schema:1 count:7 sum:2.5 z_bucket:1 z_bucket_w:0.001 buckets:[2 4]}}';
  float.append(1000, parseHistogramNotation(text)!);
  found.appendChunks(labelsFromObject({ __name__: 'native', kind: 'float' }), [
    { bytes: float.cut()!, minTimeMs: 1000, maxTimeMs: 1000, encoding: CHUNK_ENCODING.floatHistogram },
  ]);
  const integer = HistogramAppender.integers();
  const layout = new HistogramLayout(0, 0.5, spansOf([0, 2]), NO_SPANS);
  const parts = { layout, zeroCount: 1n, sum: 9, negativeDeltas: [] };
  integer.append(1000, IntegerHistogram.of({ ...parts, count: 6n, positiveDeltas: [2n, 1n] }));
  integer.append(2000, IntegerHistogram.of({ ...parts, count: 8n, positiveDeltas: [3n, 1n] }));
  found.appendChunks(labelsFromObject({ __name__: 'native', kind: 'integer' }), [
    { bytes: integer.cut()!, minTimeMs: 1000, maxTimeMs: 2000, encoding: CHUNK_ENCODING.histogram },
  ]);
  return found;
}

const query = (name: string, startMs: number, endMs: number): ReadQuery => ({
  startMs,
  endMs,
  matchers: [{ type: '=', name: '__name__', value: name }],
});

/** The series of each result: a QueryResult is a WriteRequest without metadata. */
async function read(...queries: ReadQuery[]) {
  const packed = await readSamples(source(), queries, budget, guard);
  const bytes = codecKernel().snappyDecode(packed, 1e6);
  const results: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    let length = bytes[at + 1]!;
    at += 2;
    for (let shift = 7; length >= 1 << shift; shift += 7) length += (bytes[at++]! << shift) - (1 << shift);
    results.push(bytes.subarray(at, at + length));
    at += length;
  }
  return results.map((result) =>
    parseWriteRequest(result).timeseries.map(({ labels, samples, histograms }) => ({
      labels: labels.map(({ value }) => value).join('/'),
      samples: samples.map(({ timestampMs, value }) => [timestampMs, value]),
      histograms,
    })),
  );
}

describe('samples', () => {
  test('come by series and time, each once and inside the bounds', async () => {
    const [up, nothing] = await read(query('up', 1500, 2500), query('nothing', 0, 9000));
    expect(up).toEqual([
      {
        labels: 'up/a',
        samples: [
          [1500, 7],
          [2000, 6],
          [2500, 9],
        ],
        histograms: [],
      },
      { labels: 'up/b', samples: [[2000, 0]], histograms: [] },
    ]);
    expect(nothing).toEqual([]);
  });

  test('stale markers come along', async () => {
    const packed = await readSamples(source(), [query('gone', 0, 9000)], budget, guard);
    const hex = Buffer.from(codecKernel().snappyDecode(packed, 1e6)).toString('hex');
    expect(hex).toContain('09020000000000f07f10d00f');
  });

  test('histograms stay integers or floats', async () => {
    const [native] = await read(query('native', 0, 9000));
    expect(native!.map(({ labels }) => labels)).toEqual(['native/float', 'native/integer']);
    expect(native![0]!.histograms).toMatchObject([
      { isFloat: true, count: 7, sum: 2.5, zeroCount: 1, positiveCounts: [2, 4], timestampMs: 1000 },
    ]);
    expect(native![1]!.histograms).toMatchObject([
      { isFloat: false, count: 6, sum: 9, positiveDeltas: [2, 1], resetHint: 0, timestampMs: 1000 },
      { isFloat: false, count: 8, sum: 9, positiveDeltas: [3, 1], resetHint: 2, timestampMs: 2000 },
    ]);
  });

  test('are counted', async () => {
    const reading = readSamples(source(), [query('up', 0, 9000)], { ...budget, samplesMax: 5 }, guard);
    await expect(reading).rejects.toMatchObject({ kind: 'client', message: 'exceeded sample limit (5)' });
  });

  test('their chunks count as memory', async () => {
    const reading = readSamples(source(), [query('up', 0, 9000)], { ...budget, memoryBytesMax: 10 }, guard);
    await expect(reading).rejects.toMatchObject({ kind: 'limit', code: 'query-memory-limit' });
  });
});

test('chunks come as they are, a series to a frame', async () => {
  const bytes = await readChunks(source(), [query('nothing', 0, 1), query('up', 2900, 9000)], budget, guard);
  const length = bytes[0]!;
  const message = bytes.subarray(5, 5 + length);
  expect(Buffer.from(bytes.subarray(1, 5)).readUInt32BE()).toBe(codecKernel().crc32c(message));
  expect(bytes.length).toBe(5 + length);
  // The whole chunk, from 1000 on, of the only series that reaches into the bounds; then the index of the query.
  const hex = Buffer.from(message).toString('hex');
  expect(hex).toContain(Buffer.from('up').toString('hex'));
  expect(hex).toContain('08e80710b8171801');
  expect(hex.endsWith('1001')).toBe(true);
});

describe('federation', () => {
  const up = [createMatcher('=', '__name__', 'up')];
  const all = [createMatcher('=~', '__name__', '.+')];
  const text = async (sets: readonly (typeof up)[], minTimeMs = 0, maxTimeMs = 9000) => {
    const format = { isProtobuf: false, escaping: 'underscores' } as const;
    return Buffer.from(
      await federate(source(), sets, minTimeMs, maxTimeMs, format, budget, guard),
    ).toString();
  };

  test('tells the newest sample of each series once, without stale ones', async () => {
    expect(await text([up, all])).toBe(
      ['# TYPE up untyped', 'up{job="a",instance=""} 9 2500', 'up{job="b",instance=""} 3 3000', ''].join(
        '\n',
      ),
    );
  });

  test('looks at the given time only', async () => {
    expect(await text([up], 1200, 2000)).toBe(
      '# TYPE up untyped\nup{job="a",instance=""} 6 2000\nup{job="b",instance=""} 0 2000\n',
    );
    expect(await text([[]])).toBe('');
  });

  test('histograms are whole in protobuf', async () => {
    const format = { isProtobuf: true, escaping: 'allow-utf-8' } as const;
    const native = [createMatcher('=', 'kind', 'integer')];
    const bytes = await federate(source(), [native], 0, 9000, format, budget, guard);
    const hex = Buffer.from(bytes).toString('hex');
    // Always as floats: sum 9, count 8, schema 0, threshold 0.5, zero count 1, one span of two buckets, 3 and 4.
    expect(hex).toContain(
      '11000000000000224021000000000000204028003' + '1000000000000e03f41000000000000f03f',
    );
    expect(hex).toContain('620408001002' + '710000000000000840' + '710000000000001040');
  });

  test.each([
    ['', false, 'underscores'],
    ['application/openmetrics-text,*/*', false, 'underscores'],
    ['text/plain;escaping=dots', false, 'dots'],
    [
      'text/plain;q=0.3,application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6;escaping=allow-utf-8',
      true,
      'allow-utf-8',
    ],
    [
      'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text',
      false,
      'underscores',
    ],
  ])('%j is understood', (accept, isProtobuf, escaping) => {
    expect(negotiate(accept)).toEqual({ isProtobuf, escaping });
    expect(contentTypeOf(negotiate(accept))).toContain(`escaping=${escaping}`);
  });

  test.each([
    ['a.b', 'underscores', 'a_b'],
    ['0a', 'underscores', '_a'],
    ['a.b_c', 'dots', 'a_dot_b__c'],
    ['a.b_c', 'values', 'U__a_2e_b__c'],
    ['ü', 'values', 'U___fc_'],
    ['a_b', 'values', 'a_b'],
    ['a.b', 'allow-utf-8', 'a.b'],
  ] as const)('%s becomes with %s %s', (name, escaping, expected) => {
    expect(escapeName(name, false, escaping)).toBe(expected);
  });
});
