import { beforeAll, describe, expect, test } from '@jest/globals';
import { HeadKernel } from '../kernel/index.js';
import { bitsOf, type TestSeries } from '../kernel/testing/write-request.js';
import { HeadReader } from '../tsdb/head/index.js';
import { HEAD_OPTIONS, push } from '../tsdb/head/testing/head-fixture.js';
import { TaskExecutor } from './executor.js';
import { makeEngine, makeLanguage } from './promql.js';
import type { CardinalityTask } from './task.js';
import type { TaskControl } from './task-guard.js';

const parser = {
  experimentalFunctions: false,
  extendedRangeSelectors: false,
  binopFillModifiers: false,
  durationExpressions: false,
};
const engine = makeEngine({
  ...{ lookbackMs: 300_000, evaluationIntervalMs: 60_000, samplesMax: 1e6, memoryBytesMax: 2 ** 26, parser },
});
const OLD = 1_000_000;
const NEW = 2_000_000;

let executor: TaskExecutor;

beforeAll(() => {
  const head = new HeadKernel(HEAD_OPTIONS);
  const seriesOf = (name: string, job: string, instance: string, timeMs: number): TestSeries => ({
    labels: [['__name__', name], ...(instance === '' ? [] : [['instance', instance] as const]), ['job', job]],
    samples: [{ timeMs: BigInt(timeMs), bits: bitsOf(1) }],
  });
  push(head, [
    seriesOf('up', 'a', 'i<1>', NEW),
    seriesOf('up', 'a', 'i2', NEW),
    seriesOf('up', 'b', 'i3', NEW),
    seriesOf('hits', 'b', '', NEW),
    seriesOf('gone', 'c', 'i2', OLD),
  ]);
  const reader = new HeadReader(head.memory);
  reader.begin();
  executor = new TaskExecutor(engine, makeLanguage(parser), {
    open: async (sources) => {
      expect(sources.map(({ kind }) => kind)).toEqual(['head']);
      return reader;
    },
  });
});

const control = (isCancelled = false): TaskControl => ({
  isCancelled: () => isCancelled,
  deadlineMs: Number.POSITIVE_INFINITY,
  queuedMs: 0,
});

async function ask(task: Partial<CardinalityTask>, cancelled = false): Promise<[number, unknown]> {
  const { status, body } = await executor.execute(
    {
      ...{ kind: 'cardinality', what: 'labelNames', selector: '', labelNames: [], minTimeMs: 0, limit: 20 },
      ...{ bytesMax: 1000 },
      sources: [
        {
          kind: 'block',
          place: 'bucket',
          prefix: '',
          ulid: '',
          minTimeMs: 0,
          maxTimeMs: 1,
          resolutionMs: 0,
          sources: [],
          group: '',
        },
        { kind: 'head', memoryKey: '', minTimeMs: 0, maxTimeMs: NEW },
      ],
      ...task,
    },
    control(cancelled),
  );
  return [status, JSON.parse(new TextDecoder().decode(body))];
}

describe('label names', () => {
  test.each<[string, Partial<CardinalityTask>, unknown]>([
    [
      'of all series, most values first, then by name',
      {},
      {
        label_values_count_total: 9,
        label_names_count: 3,
        cardinality: [
          { label_name: '__name__', label_values_count: 3 },
          { label_name: 'instance', label_values_count: 3 },
          { label_name: 'job', label_values_count: 3 },
        ],
      },
    ],
    [
      'of selected series, cut',
      { selector: 'up{job="a"}', limit: 1 },
      {
        label_values_count_total: 4,
        label_names_count: 3,
        cardinality: [{ label_name: 'instance', label_values_count: 2 }],
      },
    ],
    [
      'of active series',
      { minTimeMs: NEW - 1, limit: 0 },
      { label_values_count_total: 7, label_names_count: 3, cardinality: [] },
    ],
    [
      'of none',
      { selector: '{job="x"}' },
      { label_values_count_total: 0, label_names_count: 0, cardinality: [] },
    ],
  ])('%s', async (_name, task, answer) => {
    expect(await ask(task)).toEqual([200, answer]);
  });
});

describe('label values', () => {
  test('are counted per label, with the total of the tenant', async () => {
    const labelNames = ['absent', 'instance', 'job'];
    expect(await ask({ what: 'labelValues', labelNames, selector: '{job!="c"}', limit: 1 })).toEqual([
      200,
      {
        series_count_total: 5,
        labels: [
          {
            ...{ label_name: 'job', label_values_count: 2, series_count: 4 },
            cardinality: [{ label_value: 'a', series_count: 2 }],
          },
          {
            ...{ label_name: 'instance', label_values_count: 3, series_count: 3 },
            cardinality: [{ label_value: 'i2', series_count: 1 }],
          },
          { label_name: 'absent', label_values_count: 0, series_count: 0, cardinality: [] },
        ],
      },
    ]);
  });
});

describe('active series', () => {
  test('are listed with their labels', async () => {
    expect(await ask({ what: 'activeSeries', selector: '{instance="i2"}', minTimeMs: NEW - 1 })).toEqual([
      200,
      { data: [{ __name__: 'up', instance: 'i2', job: 'a' }] },
    ]);
  });

  test('stop at the limit of the answer', async () => {
    const [status, body] = await ask({ what: 'activeSeries', selector: '{job=~".+"}', bytesMax: 60 });
    expect(status).toBe(422);
    expect(body).toMatchObject({ error: expect.stringContaining('active_series_results_max_size_bytes') });
  });
});

test('a bad selector is refused, and a cancelled count stops', async () => {
  expect(await ask({ selector: '{' })).toMatchObject([400, { errorType: 'bad_data' }]);
  expect(await ask({}, true)).toMatchObject([499, { errorType: 'canceled' }]);
});
