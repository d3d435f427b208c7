import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { keyOf, rawSamples } from './answers.js';
import { stopAll } from './processes.js';
import { startVarve, type Varve } from './varve.js';
import {
  bytesField,
  doubleField,
  type FloatValue,
  type PushAnswer,
  pushSeries,
  STALE_MARKER_BITS,
  varint,
  varintField,
  type WireSeries,
  zigzag,
} from './wire.js';

/**
 * Native histograms that strangers send. Each row is one request with a good float series beside the histogram: the
 * status, the reason that is counted and named, and the float is there afterwards.
 */

const NOW_MS = Math.floor(Date.now() / 1000) * 1000;
const HOUR_MS = 3_600_000;

interface Parts {
  readonly count?: number;
  readonly floatCount?: number;
  readonly sum?: FloatValue;
  readonly schema?: number;
  readonly zeroThreshold?: number;
  readonly zeroCount?: number;
  readonly negativeSpans?: readonly (readonly [offset: number, length: number])[];
  readonly negativeDeltas?: readonly number[];
  readonly spans?: readonly (readonly [offset: number, length: number])[];
  readonly deltas?: readonly number[];
  readonly counts?: readonly number[];
  readonly bounds?: readonly number[];
  readonly timestampMs?: number | bigint;
}

const zigzagField = (field: number, value: number) => Buffer.concat([varint(field * 8), zigzag(value)]);
const spanField = (field: number, [offset, length]: readonly [number, number]) =>
  bytesField(field, Buffer.concat([zigzagField(1, offset), varintField(2, length)]));
const packed = (field: number, values: readonly number[]) =>
  bytesField(field, Buffer.concat(values.map(zigzag)));
/** Doubles one by one: receivers have to take both forms. */
const unpacked = (field: number, values: readonly number[]) =>
  Buffer.concat(values.map((value) => doubleField(field, value)));

function encode(parts: Parts): Uint8Array {
  return Buffer.concat([
    parts.floatCount === undefined ? varintField(1, parts.count ?? 0) : doubleField(2, parts.floatCount),
    doubleField(3, parts.sum ?? 18.5),
    zigzagField(4, parts.schema ?? 1),
    doubleField(5, parts.zeroThreshold ?? 0),
    varintField(6, parts.zeroCount ?? 0),
    ...(parts.negativeSpans ?? []).map((span) => spanField(8, span)),
    packed(9, parts.negativeDeltas ?? []),
    ...(parts.spans ?? []).map((span) => spanField(11, span)),
    packed(12, parts.deltas ?? []),
    unpacked(13, parts.counts ?? []),
    varintField(15, parts.timestampMs ?? NOW_MS),
    unpacked(16, parts.bounds ?? []),
  ]);
}

const sound: Parts = {
  count: 8,
  spans: [
    [-2, 2],
    [3, 1],
  ],
  deltas: [3, -1, 1],
};
const floats: Parts = {
  floatCount: 8,
  spans: [
    [-2, 2],
    [3, 1],
  ],
  counts: [3, 2, 3],
};
const custom: Parts = { ...sound, schema: -53, spans: [[0, 3]], bounds: [1, 2] };
const wide = (buckets: number): Parts => ({
  count: buckets,
  spans: [[0, buckets]],
  deltas: [1, ...new Array<number>(buckets - 1).fill(0)],
});

interface Row {
  readonly what: string;
  readonly histogram: Parts;
  /** Absent when the histogram is good. */
  readonly reason?: string;
  readonly text?: string;
}

const INVALID = 'native_histogram_invalid';

const ROWS: readonly Row[] = [
  { what: 'one of integers', histogram: sound },
  { what: 'one of floats', histogram: floats },
  { what: 'one with custom buckets', histogram: custom },
  { what: 'one without observations', histogram: { sum: 0 } },
  { what: 'a stale marker', histogram: { sum: STALE_MARKER_BITS } },
  {
    what: 'NaN as sum, with more observations than in buckets',
    histogram: { ...sound, count: 9, sum: Number.NaN },
  },
  { what: 'one of 200 buckets, which is reduced', histogram: wide(200) },
  { what: 'one of schema 20, which is reduced', histogram: { ...sound, schema: 20 } },
  {
    what: 'schema 53',
    histogram: { ...sound, schema: 53 },
    reason: 'native_histogram_invalid_schema',
    text: 'got schema 53',
  },
  {
    what: 'schema -5',
    histogram: { ...sound, schema: -5 },
    reason: 'native_histogram_invalid_schema',
    text: 'got schema -5',
  },
  {
    what: 'too few buckets',
    histogram: { ...sound, deltas: [3] },
    reason: INVALID,
    text: 'spans need 3 buckets, have 1',
  },
  {
    what: 'too many buckets for the spans',
    histogram: { ...sound, spans: [] },
    reason: INVALID,
    text: 'spans need 0 buckets, have 3',
  },
  {
    what: 'spans of 4 billion buckets',
    histogram: { ...sound, spans: [[0, 2 ** 32 - 1]] },
    reason: INVALID,
    text: 'spans need 4294967295',
  },
  {
    what: 'buckets beyond 32 bits',
    histogram: { ...sound, spans: [[2 ** 31 - 1, 3]] },
    reason: INVALID,
    text: 'bucket index',
  },
  {
    what: 'a negative gap',
    histogram: {
      ...sound,
      spans: [
        [0, 2],
        [-1, 1],
      ],
    },
    reason: INVALID,
    text: 'whose offset is negative',
  },
  {
    what: 'a bucket below 0',
    histogram: { ...sound, deltas: [3, -4, 1] },
    reason: INVALID,
    text: 'observation count of -1',
  },
  {
    what: 'a bucket of floats below 0',
    histogram: { ...floats, counts: [3, -2, 3] },
    reason: INVALID,
    text: 'observation count of -2',
  },
  {
    what: 'a count below 0',
    histogram: { ...floats, floatCount: -8 },
    reason: INVALID,
    text: 'observation count is negative',
  },
  {
    what: 'a count that is not that of the buckets',
    histogram: { ...sound, count: 7 },
    reason: INVALID,
    text: 'the Count field is 7',
  },
  {
    what: 'buckets of 2^63 observations',
    histogram: { ...sound, deltas: [2 ** 52, 2 ** 52, 2 ** 52] },
    reason: INVALID,
    text: 'the Count field is 8',
  },
  {
    what: 'custom bounds of an exponential schema',
    histogram: { ...sound, bounds: [1] },
    reason: INVALID,
    text: 'must not have custom bounds',
  },
  {
    what: 'custom bounds that fall',
    histogram: { ...custom, bounds: [2, 1] },
    reason: INVALID,
    text: 'strictly increasing order',
  },
  {
    what: 'an infinite custom bound',
    histogram: { ...custom, bounds: [1, 1 / 0] },
    reason: INVALID,
    text: 'must be finite',
  },
  {
    what: 'NaN as custom bound',
    histogram: { ...custom, bounds: [1, Number.NaN] },
    reason: INVALID,
    text: 'must not be NaN',
  },
  { what: 'too few custom bounds', histogram: { ...custom, bounds: [1] }, reason: INVALID, text: 'too few' },
  {
    what: 'custom buckets with a zero count',
    histogram: { ...custom, zeroCount: 1, count: 9 },
    reason: INVALID,
    text: 'zero count of 0',
  },
  {
    what: 'custom buckets with a threshold',
    histogram: { ...custom, zeroThreshold: 1 },
    reason: INVALID,
    text: 'zero threshold of 0',
  },
  {
    what: 'custom buckets below 0',
    histogram: { ...custom, negativeSpans: [[0, 1]], negativeDeltas: [1] },
    reason: INVALID,
    text: 'must not have negative spans',
  },
  {
    what: 'more custom buckets than may be',
    histogram: { ...wide(161), schema: -53, bounds: Array.from({ length: 160 }, (_, i) => i) },
    reason: 'native_histogram_buckets_exceeded',
    text: 'max_native_histogram_buckets',
  },
  {
    what: 'a histogram of 20 kB',
    histogram: wide(20_000),
    reason: 'native_histogram_sample_size_bytes_exceeded',
    text: 'over the limit of 16384',
  },
];

/** Messages that are no Histogram: the request is refused as a whole. */
const MALFORMED: readonly (readonly [what: string, message: Uint8Array])[] = [
  ['a count of another wire type', doubleField(1, 1)],
  ['a sum of another wire type', varintField(3, 1)],
  ['a message that is cut', encode(sound).subarray(0, -2)],
  ['a span that is no message', varintField(11, 1)],
  ['rubbish', Buffer.from('9f3ac077e1b2d84c', 'hex')],
  ['doubles of seven bytes', bytesField(13, new Uint8Array(7))],
];

describe('native histograms', () => {
  let varve: Varve;
  beforeAll(async () => {
    varve = await startVarve();
  });
  afterAll(stopAll);

  const send = (id: number, histograms: readonly Uint8Array[]): Promise<PushAnswer> => {
    const bad: WireSeries = { labels: [['__name__', `histogram_${id}`]], histograms };
    const good: WireSeries = {
      labels: [
        ['__name__', 'good_total'],
        ['row', String(id)],
      ],
      samples: [{ value: id, timestampMs: NOW_MS }],
    };
    return pushSeries(varve.pushUrl, [bad, good]);
  };

  const goodSample = async (id: number) => {
    const labels = { __name__: 'good_total', row: String(id) };
    const found = await rawSamples(varve.api, `good_total{row="${id}"}`, NOW_MS + HOUR_MS, 3 * HOUR_MS);
    return (found.get(keyOf(labels)) ?? []).map(([, value]) => value);
  };

  const discarded = async (reason: string) => {
    const text = await (await fetch(`${varve.url}/metrics`)).text();
    const found = new RegExp(`^varve_discarded_samples_total\\{reason="${reason}",.*\\} (\\S+)$`, 'm').exec(
      text,
    );
    return Number(found?.[1] ?? 0);
  };

  test.each(ROWS.map((row, id) => ({ ...row, id })))('$what', async ({ id, histogram, reason, text }) => {
    const before = reason === undefined ? 0 : await discarded(reason);
    const answer = await send(id, [encode(histogram)]);
    if (reason === undefined) expect([Math.floor(answer.status / 100), answer.text]).toEqual([2, '']);
    else {
      expect([answer.status, answer.text]).toEqual([400, expect.stringContaining(text!)]);
      expect(answer.text).toMatch(new RegExp(`^${reason}: native histogram .*histogram_${id}`));
      expect(answer.text.length).toBeLessThan(1024);
      expect(await discarded(reason)).toBe(before + 1);
    }
    expect(await goodSample(id)).toEqual([String(id)]);
  });

  test('the good ones beside a bad one are stored', async () => {
    const answer = await send(500, [encode(sound), encode({ ...sound, count: 1 })]);
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(/\(1 refused\); 1 samples.* of the request were stored\n?$/);
  });

  test.each(MALFORMED.map(([what, message], i) => ({ what, message, id: 600 + i })))(
    '$what refuses the request',
    async ({ message, id }) => {
      const answer = await send(id, [encode(sound), message]);
      expect([answer.status, answer.text]).toEqual([
        400,
        expect.stringMatching(/^write-request-malformed: /),
      ]);
      expect(await goodSample(id)).toEqual([]);
    },
  );

  test('a million empty ones do not exhaust memory', async () => {
    const answer = await send(700, new Array<Uint8Array>(1_000_000).fill(new Uint8Array(0)));
    expect(answer.status).toBe(400);
    expect(varve.running()).toBe(true);
  });
});
