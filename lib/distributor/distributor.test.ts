import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../clock/index.js';
import type { Exemplar } from '../exemplar/index.js';
import { codecKernel, SAMPLE_CODE } from '../kernel/index.js';
import { type LabelSet, labelsFromObject } from '../labels/index.js';
import { DEFAULT_LIMITS, type Limits } from '../limits/index.js';
import { Metrics, silentLogger } from '../telemetry/index.js';
import { encodeWriteRequest, type WriteExemplar, type WriteSeries } from '../wire/index.js';
import { Distributor, type IngestTarget } from './distributor.js';

const NOW_MS = 1_700_000_000_000;
let recorded: unknown[] = [];
let metrics: Metrics;

const target: IngestTarget = {
  prepare: () => null,
  recordMetadata: () => true,
  recordExemplar(tenant: string, labels: LabelSet, { labels: [label], value }: Exemplar, countMax: number) {
    recorded.push([tenant, labels.map((each) => each.value).join(), label!.value, value, countMax]);
    return label!.value !== 'late';
  },
  append(_tenant, scan, _histograms, _futureLimitMs, admission) {
    const { seriesCount, sampleCount } = scan.columns;
    for (let i = 0; i < seriesCount; i++) {
      if (admission.admit(i) !== null && i >= admission.seriesMax && admission.seriesMax > 0) {
        admission.refusedByLimit(i);
      }
    }
    const counts = new Uint32Array(16);
    counts[SAMPLE_CODE.accepted] = sampleCount;
    return { counts, histogramCounts: new Uint32Array(16), examples: new Map(), durable: Promise.resolve() };
  },
};

beforeEach(() => {
  recorded = [];
  metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
});

function exemplarOf(id: string, timestampMs = NOW_MS): WriteExemplar {
  return { labels: [{ name: 'trace_id', value: id }], value: 2, timestampMs };
}

function seriesOf(labels: Record<string, string>, ...exemplars: WriteExemplar[]): WriteSeries {
  return {
    labels: labelsFromObject(labels),
    samples: [{ timestampMs: NOW_MS, value: 1 }],
    exemplars,
    histograms: [],
  };
}

async function push(limits: Partial<Limits>, ...timeseries: WriteSeries[]): Promise<[number, string]> {
  const all = { ...DEFAULT_LIMITS, ...limits };
  const distributor = new Distributor({
    ...{ target, metrics, logger: silentLogger, clock: new ManualClock(NOW_MS), decodedBytesMax: 1e6 },
    limits: { of: () => all },
  });
  const body = codecKernel().snappyEncode(encodeWriteRequest({ timeseries, metadata: [] }));
  const { status, message } = await distributor.push('t', [body], body.length);
  return [status, message];
}

async function discarded(): Promise<string[]> {
  const lines = (await metrics.render()).split('\n');
  return lines.filter((line) => line.startsWith('varve_discarded_exemplars_total{'));
}

describe('exemplars', () => {
  test('are kept with the labels of their series', async () => {
    const up = seriesOf({ __name__: 'up', job: 'a' }, exemplarOf('x'), exemplarOf('y'));
    expect(await push({}, seriesOf({ __name__: 'other' }), up)).toEqual([204, '']);
    expect(recorded).toEqual([
      ['t', 'up,a', 'x', 2, 100_000],
      ['t', 'up,a', 'y', 2, 100_000],
    ]);
    expect(await discarded()).toEqual([]);
  });

  test('are dropped when the limit is 0', async () => {
    expect(
      await push({ maxGlobalExemplarsPerUser: 0 }, seriesOf({ __name__: 'up' }, exemplarOf('x'))),
    ).toEqual([204, '']);
    expect(recorded).toEqual([]);
  });

  test('that are bad never fail the samples, and are counted', async () => {
    const future = exemplarOf('x', NOW_MS + DEFAULT_LIMITS.creationGracePeriodMs + 1);
    const bad = seriesOf({ __name__: 'up' }, exemplarOf('x', 0), exemplarOf('late'), future);
    expect(await push({}, bad)).toEqual([204, '']);
    expect(await discarded()).toEqual([
      'varve_discarded_exemplars_total{reason="exemplar_timestamp_invalid",user="t"} 1',
      'varve_discarded_exemplars_total{reason="exemplar_out_of_order",user="t"} 1',
      'varve_discarded_exemplars_total{reason="exemplar_too_far_in_future",user="t"} 1',
    ]);
  });

  test('of series that are refused are refused too', async () => {
    const nameless = seriesOf({ job: 'a' }, exemplarOf('x'));
    const [status, message] = await push({}, nameless, seriesOf({ __name__: 'up' }, exemplarOf('y')));
    expect([status, message]).toEqual([400, expect.stringContaining('missing_metric_name')]);
    expect(recorded).toEqual([['t', 'up', 'y', 2, 100_000]]);
    expect(await discarded()).toEqual([
      'varve_discarded_exemplars_total{reason="exemplar_series_missing",user="t"} 1',
    ]);
  });

  test('of series over the limit are refused too', async () => {
    const limited = seriesOf({ __name__: 'second' }, exemplarOf('z'));
    expect((await push({ maxGlobalSeriesPerUser: 1 }, seriesOf({ __name__: 'up' }), limited))[0]).toBe(400);
    expect(recorded).toEqual([]);
  });
});
