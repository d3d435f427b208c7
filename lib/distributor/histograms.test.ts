import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../clock/index.js';
import { FloatHistogram, type IntegerHistogram } from '../histogram/index.js';
import type { PushOutcome } from '../http/index.js';
import { codecKernel, SAMPLE_CODE, type ScanKernel } from '../kernel/index.js';
import { labelsFromObject } from '../labels/index.js';
import { DEFAULT_LIMITS, type Limits } from '../limits/index.js';
import type { HistogramSample, SampleExample } from '../storage/index.js';
import { Metrics, silentLogger } from '../telemetry/index.js';
import { encodeWriteRequest, type WriteHistogram, type WriteSeries } from '../wire/index.js';
import { Distributor, type IngestTarget } from './distributor.js';
import { describeSeries, parseLabelBytes } from './label-bytes.js';

const NOW_MS = 1_700_000_000_000;
const STALE = 0x7ff0000000000002n;

/** A target that takes everything of admitted series but histograms in the future, and remembers it. */
class Target implements IngestTarget {
  stored: string[] = [];
  created: string[] = [];
  histograms: HistogramSample[] = [];

  prepare(): null {
    return null;
  }

  recordMetadata(): boolean {
    return true;
  }

  recordExemplar(): boolean {
    return true;
  }

  append(
    _tenant: string,
    scan: ScanKernel,
    histograms: readonly HistogramSample[],
    futureLimitMs: number,
    admission: Parameters<IngestTarget['append']>[4],
  ): ReturnType<IngestTarget['append']> {
    const [counts, histogramCounts] = [new Uint32Array(9), new Uint32Array(9)];
    const examples = new Map<number, SampleExample>();
    const admitted = new Set<number>();
    for (let i = 0; i < scan.columns.seriesCount; i++) {
      if (admission.admit(i) === null) continue;
      if (admission.seriesMax > 0 && admitted.size >= admission.seriesMax) admission.refusedByLimit(i);
      else admitted.add(i);
    }
    const name = (i: number) => describeSeries(parseLabelBytes(scan.labelBytes(i)));
    for (const i of admitted) {
      this.created.push(name(i));
      counts[SAMPLE_CODE.accepted]! += scan.sampleCountOf(i);
    }
    for (const each of histograms) {
      const { seriesIndex, timeMs, histogram } = each;
      if (!admitted.has(seriesIndex)) continue;
      if (timeMs > futureLimitMs) {
        histogramCounts[SAMPLE_CODE.future]!++;
        examples.set(SAMPLE_CODE.future, { seriesIndex, timeMs, value: 0, histogram });
        continue;
      }
      histogramCounts[SAMPLE_CODE.accepted]!++;
      this.stored.push(`${name(seriesIndex)} ${timeMs - NOW_MS} ${histogram.count}`);
      this.histograms.push(each);
    }
    return { counts, histogramCounts, examples, durable: Promise.resolve() };
  }
}

let target: Target;
let metrics: Metrics;
let distributor: Distributor;
let limits: Limits;

beforeEach(() => {
  target = new Target();
  metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
  limits = DEFAULT_LIMITS;
  distributor = new Distributor({
    ...{ target, metrics, logger: silentLogger, clock: new ManualClock(NOW_MS), decodedBytesMax: 2 ** 26 },
    limits: { of: () => limits },
  });
});

const sound: WriteHistogram = {
  isFloat: false,
  count: 9,
  sum: 18.5,
  schema: 1,
  zeroThreshold: 0.001,
  zeroCount: 1,
  negativeSpans: [],
  positiveSpans: [
    { offset: -2, length: 2 },
    { offset: 3, length: 1 },
  ],
  negativeDeltas: [],
  positiveDeltas: [3, -1, 1],
  negativeCounts: [],
  positiveCounts: [],
  resetHint: 0,
  timestampMs: NOW_MS,
  customValues: [],
};

const custom: WriteHistogram = {
  ...sound,
  schema: -53,
  zeroThreshold: 0,
  zeroCount: 0,
  count: 8,
  positiveSpans: [{ offset: 0, length: 3 }],
  customValues: [1, 2],
};

const floats: WriteHistogram = { ...sound, isFloat: true, positiveDeltas: [], positiveCounts: [3, 2, 3] };

/** One bucket per observation, side by side. */
function wide(buckets: number, schema = 5): WriteHistogram {
  const deltas = Array.from({ length: buckets }, (_, i) => (i === 0 ? 1 : 0));
  return {
    ...sound,
    schema,
    count: buckets,
    zeroCount: 0,
    positiveSpans: [{ offset: -7, length: buckets }],
    positiveDeltas: deltas,
  };
}

function seriesOf(name: string, ...histograms: WriteHistogram[]): WriteSeries {
  return { labels: labelsFromObject({ __name__: name }), samples: [], exemplars: [], histograms };
}

function samplesOf(name: string, count = 1): WriteSeries {
  const samples = Array.from({ length: count }, (_, i) => ({ timestampMs: NOW_MS - i, value: 1 }));
  return { ...seriesOf(name), samples };
}

async function send(body: Uint8Array): Promise<PushOutcome> {
  const compressed = codecKernel().snappyEncode(body);
  return distributor.push('t', [compressed], compressed.length);
}

async function push(changed: Partial<Limits>, ...timeseries: WriteSeries[]): Promise<[number, string]> {
  limits = { ...DEFAULT_LIMITS, ...changed };
  const { status, message } = await send(encodeWriteRequest({ timeseries, metadata: [] }));
  return [status, message];
}

async function metric(name: string): Promise<string[]> {
  const lines = (await metrics.render()).split('\n');
  return lines.filter((line) => line.startsWith(`${name}{`)).map((line) => line.slice(name.length));
}

const discarded = () => metric('varve_discarded_samples_total');

describe('native histograms', () => {
  test('go to the ingester beside floats, in the order of the request', async () => {
    const both = {
      ...seriesOf('c', sound, { ...sound, timestampMs: NOW_MS - 5 }),
      samples: samplesOf('c').samples,
    };
    expect(await push({}, samplesOf('a'), seriesOf('b', floats, custom), both)).toEqual([204, '']);
    expect(target.stored).toEqual(['b{} 0 9', 'b{} 0 8', 'c{} 0 9', 'c{} -5 9']);
    expect(target.histograms.map(({ seriesIndex }) => seriesIndex)).toEqual([1, 1, 2, 2]);
    expect(target.histograms[0]!.histogram).toBeInstanceOf(FloatHistogram);
    expect(target.histograms[2]!.histogram.layout).toBe(target.histograms[3]!.histogram.layout);
    expect(await metric('varve_distributor_received_samples_total')).toEqual(['{user="t"} 6']);
    expect(await metric('varve_distributor_received_native_histograms_total')).toEqual(['{user="t"} 4']);
    expect(await discarded()).toEqual([]);
  });

  test('that are stale markers are good', async () => {
    const empty = { ...sound, count: 0, zeroCount: 0, positiveSpans: [], positiveDeltas: [], schema: 0 };
    const stale = { ...empty, sum: Number.NaN, sumBits: STALE };
    expect(await push({}, seriesOf('a', stale, { ...stale, isFloat: true }))).toEqual([204, '']);
    expect(target.histograms.map(({ histogram }) => histogram.isStale)).toEqual([true, true]);
  });

  test('that are switched off are counted, and no series is made of nothing', async () => {
    const off = { nativeHistogramsIngestionEnabled: false, ingestionRate: 2, ingestionBurstSize: 2 };
    const withSample = { ...samplesOf('b'), histograms: [sound] };
    expect(await push(off, seriesOf('a', sound, sound), withSample)).toEqual([204, '']);
    expect(target.created).toEqual(['b{}']);
    expect(target.stored).toEqual([]);
    expect(await discarded()).toEqual(['{reason="native-histogram-sample",user="t"} 3']);
  });

  test.each<[string, WriteHistogram, string, string]>([
    [
      'a schema below -4',
      { ...sound, schema: -5 },
      'native_histogram_invalid_schema',
      'histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema -5',
    ],
    [
      'an unknown schema',
      { ...sound, schema: 60 },
      'native_histogram_invalid_schema',
      'histogram has an unknown schema, which must be between -9 and 52 for exponential buckets, or -53 for custom buckets, got schema 60',
    ],
    [
      'spans that do not fit',
      { ...sound, positiveDeltas: [3] },
      'native_histogram_invalid',
      'positive side: spans need 3 buckets, have 1 buckets: histogram spans specify different number of buckets than provided',
    ],
    [
      'a span with a negative offset',
      {
        ...sound,
        negativeSpans: [
          { offset: 0, length: 0 },
          { offset: -1, length: 0 },
        ],
      },
      'native_histogram_invalid',
      'negative side: span number 2 with offset -1: histogram has a span whose offset is negative',
    ],
    [
      'a bucket below 0',
      { ...sound, positiveDeltas: [3, -4, 1] },
      'native_histogram_invalid',
      'positive side: bucket number 2 has observation count of -1: histogram has a bucket whose observation count is negative',
    ],
    [
      'a negative bucket below 0',
      { ...sound, negativeSpans: [{ offset: 0, length: 1 }], negativeDeltas: [-2] },
      'native_histogram_invalid',
      'negative side: bucket number 1 has observation count of -2: histogram has a bucket whose observation count is negative',
    ],
    [
      'a bucket of doubles below 0',
      { ...floats, positiveCounts: [3, -0.5, 3] },
      'native_histogram_invalid',
      'positive side: bucket number 2 has observation count of -0.5: histogram has a bucket whose observation count is negative',
    ],
    [
      'a count below 0',
      { ...floats, count: -1 },
      'native_histogram_invalid',
      "histogram's observation count is negative",
    ],
    [
      'another count than the buckets have',
      { ...sound, count: 10 },
      'native_histogram_invalid',
      "9 observations found in buckets, but the Count field is 10: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)",
    ],
    [
      'fewer than the buckets have, with NaN as sum',
      { ...sound, count: 8, sum: Number.NaN },
      'native_histogram_invalid',
      "9 observations found in buckets, but the Count field is 8: histogram's observation count should be at least the number of observations found in the buckets",
    ],
    [
      'custom bounds of an exponential schema',
      { ...sound, customValues: [1] },
      'native_histogram_invalid',
      'histogram with exponential schema must not have custom bounds',
    ],
    [
      'custom bounds that do not rise',
      { ...custom, customValues: [1, 1] },
      'native_histogram_invalid',
      'custom buckets: histogram custom bounds must be in strictly increasing order',
    ],
    [
      'too few custom bounds',
      { ...custom, customValues: [1] },
      'native_histogram_invalid',
      'custom buckets: histogram custom bounds are too few',
    ],
    [
      'custom buckets beside a zero bucket',
      { ...custom, zeroCount: 1, count: 9 },
      'native_histogram_invalid',
      'custom buckets: must have zero count of 0',
    ],
    [
      'custom buckets with a zero threshold',
      { ...custom, zeroThreshold: 1 },
      'native_histogram_invalid',
      'custom buckets: must have zero threshold of 0',
    ],
    [
      'negative custom buckets',
      { ...custom, negativeSpans: [{ offset: 0, length: 1 }], negativeDeltas: [1] },
      'native_histogram_invalid',
      'custom buckets: must not have negative spans',
    ],
    [
      'too many custom buckets',
      {
        ...wide(161, -53),
        zeroThreshold: 0,
        positiveSpans: [{ offset: 0, length: 161 }],
        customValues: Array.from({ length: 160 }, (_, i) => i),
      },
      'native_histogram_buckets_exceeded',
      'it has 161 buckets, over the limit of 160 (limits.max_native_histogram_buckets); custom buckets cannot be merged',
    ],
  ])('with %s are refused, and what is beside them is stored', async (_, bad, reason, text) => {
    // The sound one comes first: what is known about its layout must not hide anything.
    const [status, message] = await push(
      {},
      seriesOf('both', sound, custom, bad),
      seriesOf('bad', bad),
      { ...samplesOf('mixed'), histograms: [bad] },
      seriesOf('good', floats),
    );
    expect(message).toBe(
      `${reason}: native histogram at 2023-11-14T22:13:20.000Z of both{}: ${text} (3 refused); 1 samples and 3 native histograms of the request were stored`,
    );
    expect(status).toBe(400);
    expect(target.stored).toEqual(['both{} 0 9', 'both{} 0 8', 'good{} 0 9']);
    expect(target.created).toEqual(['both{}', 'mixed{}', 'good{}']);
    expect(await discarded()).toEqual([`{reason="${reason}",user="t"} 3`]);
  });

  test('of refused series are counted with the samples', async () => {
    const nameless = { ...seriesOf('', sound, sound), samples: samplesOf('').samples, labels: [] };
    const [status, message] = await push(
      { maxGlobalSeriesPerUser: 1 },
      nameless,
      seriesOf('a', sound),
      seriesOf('b', sound),
    );
    expect([status, message]).toEqual([
      400,
      expect.stringMatching(
        /^missing_metric_name: .*\(3 refused\); per_user_series_limit: .*\(1 refused\); 0 samples and 1 native histograms of/,
      ),
    ]);
    expect(target.stored).toEqual(['a{} 0 9']);
  });

  test('that the ingester refuses are named', async () => {
    const late = { ...sound, timestampMs: NOW_MS + DEFAULT_LIMITS.creationGracePeriodMs + 1 };
    const [status, message] = await push({}, seriesOf('a', sound, late));
    expect([status, message]).toEqual([
      400,
      expect.stringMatching(
        /^too_far_in_future: native histogram at 2023-11-14T22:23:20.001Z of a\{\} is further .*\(1 refused\); 0 samples and 1 native/,
      ),
    ]);
    expect(await discarded()).toEqual(['{reason="too_far_in_future",user="t"} 1']);
  });

  test('count as samples for the rate', async () => {
    const rate = { ingestionRate: 2, ingestionBurstSize: 2 };
    expect((await push(rate, samplesOf('a'), seriesOf('b', sound, sound)))[0]).toBe(400);
    expect(target.created).toEqual([]);
    expect((await push(rate, samplesOf('a'), seriesOf('b', sound)))[0]).toBe(204);
    expect(await discarded()).toEqual(['{reason="rate_limited",user="t"} 3']);
  });

  test('that are no histograms fail the request', async () => {
    const message = encodeWriteRequest({ timeseries: [samplesOf('a'), seriesOf('b', sound)], metadata: [] });
    // The count of the histogram as another wire type.
    const at = Buffer.from(message).indexOf(Buffer.from([0x08, 9, 0x19]));
    message[at] = 0x0d;
    expect(await send(message)).toEqual({
      status: 400,
      message: 'write-request-malformed: protobuf: a histogram is not a prometheus.Histogram',
      retryAfterSeconds: 0,
    });
    expect(target.created).toEqual([]);
  });
});

describe('the size of native histograms', () => {
  test('over the bucket limit is reduced', async () => {
    const negative = {
      ...wide(100),
      negativeSpans: [{ offset: 0, length: 1 }],
      negativeDeltas: [4],
      count: 104,
    };
    expect(
      await push({ maxNativeHistogramBuckets: 30 }, seriesOf('a', wide(30), wide(100), negative)),
    ).toEqual([204, '']);
    const found = target.histograms.map(({ histogram }) => histogram as IntegerHistogram);
    expect(found.map(({ layout }) => layout.schema)).toEqual([5, 3, 3]);
    expect(found.map(({ layout }) => layout.positiveCount)).toEqual([30, 25, 25]);
    // Indexes -7 to 92 of schema 5: the first bucket of schema 3 has index -7 to -4, the last one 89 to 92.
    expect([...found[1]!.toFloat().positiveBuckets()]).toEqual(new Array(25).fill(4));
    expect([...found[2]!.toFloat().negativeBuckets()]).toEqual([4]);
    expect(await metric('varve_reduced_resolution_histogram_samples_total')).toEqual(['{user="t"} 2']);
  });

  test('over the bucket limit is refused where reducing is off or does not help', async () => {
    const strict = { maxNativeHistogramBuckets: 30, reduceNativeHistogramOverMaxBuckets: false };
    expect((await push(strict, seriesOf('a', wide(100))))[1]).toContain(
      'native_histogram_buckets_exceeded: native histogram at 2023-11-14T22:13:20.000Z of a{}: it has 100 buckets, over the limit of 30',
    );
    expect((await push({ maxNativeHistogramBuckets: 2 }, seriesOf('a', wide(100, -2))))[1]).toContain(
      '(limits.max_native_histogram_buckets), even in the coarsest schema (1 refused)',
    );
    expect(target.created).toEqual([]);
    expect(await push({ maxNativeHistogramBuckets: 0 }, seriesOf('a', wide(1000)))).toEqual([204, '']);
    expect(target.histograms[0]!.histogram.layout.positiveCount).toBe(1000);
  });

  test('of a schema from 9 on is reduced to 8', async () => {
    expect(await push({}, seriesOf('a', wide(100, 10), wide(100, 52)))).toEqual([204, '']);
    expect(
      target.histograms.map(({ histogram }) => [histogram.layout.schema, histogram.layout.positiveCount]),
    ).toEqual([
      [8, 25],
      [8, 2],
    ]);
    const bad = { ...wide(100, 10), count: 5 };
    expect((await push({}, seriesOf('a', bad)))[1]).toContain('but the Count field is 5');
  });

  test('over the byte limit is refused', async () => {
    const small = { maxNativeHistogramSampleSizeBytes: 100 };
    expect((await push(small, seriesOf('a', wide(50)), seriesOf('b', wide(200))))[1]).toMatch(
      /^native_histogram_sample_size_bytes_exceeded: native histogram of b\{\}: it has 2\d\d bytes, over the limit of 100 \(limits.max_native_histogram_sample_size_bytes\) \(1 refused\)/,
    );
    expect(target.stored).toEqual(['a{} 0 50']);
  });

  test('of a whole request is bounded', async () => {
    const empty = { ...sound, count: 0, sum: 0, zeroCount: 0, positiveSpans: [], positiveDeltas: [] };
    const one = encodeWriteRequest({ timeseries: [seriesOf('a', empty)], metadata: [] });
    const message = one.subarray(Buffer.from(one).lastIndexOf(0x22));
    const count = 900_000;
    const label = one.subarray(2, one.length - message.length);
    const body = Buffer.concat([label, ...new Array(count).fill(message)]);
    const length: number[] = [];
    for (let left = body.length; left > 0; left = Math.floor(left / 128))
      length.push((left & 0x7f) | (left >= 128 ? 0x80 : 0));
    const outcome = await send(Buffer.concat([Uint8Array.of(0x0a, ...length), body]));
    expect(outcome).toMatchObject({ status: 413, message: expect.stringContaining('send smaller requests') });
    expect(target.created).toEqual([]);
  });
});
