import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '../../lib/clock/index.js';
import { Distributor } from '../../lib/distributor/index.js';
import type { PushOutcome } from '../../lib/http/index.js';
import { Ingester } from '../../lib/ingester/index.js';
import {
  bitsOf,
  bytesField,
  labelField,
  sampleField,
  snappy,
  uvarintBytes,
} from '../../lib/kernel/testing/write-request.js';
import { DEFAULT_LIMITS, type Limits } from '../../lib/limits/index.js';
import { createLogger, Metrics } from '../../lib/telemetry/index.js';
import { HeadReader } from '../../lib/tsdb/head/index.js';
import { samplesOf, selectAll } from '../../lib/tsdb/head/testing/head-fixture.js';

// Requests go through distributor and ingester as they do in one process; what was stored is read from the head.

const T0 = 1_700_000_000_000;
const TENANT = 'team';

let root = '';
let clock = new ManualClock(T0);
let limits: Limits = DEFAULT_LIMITS;
let metrics: Metrics;
let ingester: Ingester;
let distributor: Distributor;

async function start(memoryBytesMax = 512 * 2 ** 20): Promise<void> {
  metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
  const logger = createLogger({ level: 'fatal' });
  const provider = { of: () => limits };
  ingester = new Ingester({
    options: {
      dataDir: join(root, 'data'),
      blockDir: join(root, 'bucket'),
      blockRangeMs: 7_200_000,
      headMemoryBytesMax: memoryBytesMax,
      idleTimeoutMs: 3_600_000,
      sync: 'always',
      syncIntervalMs: 1000,
      segmentBytesMax: 2 ** 22,
      flushOnShutdown: false,
    },
    limits: provider,
    metrics,
    logger,
    clock,
    onBlocks: async () => {},
  });
  await ingester.start();
  distributor = new Distributor({
    target: ingester,
    limits: provider,
    metrics,
    logger,
    clock,
    decodedBytesMax: 2 ** 22,
  });
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'varve-push-'));
  clock = new ManualClock(T0);
  limits = DEFAULT_LIMITS;
  await start();
});
afterEach(async () => {
  await ingester.stop();
  rmSync(root, { recursive: true, force: true });
});

function oneSeries(
  labels: Uint8Array[],
  samples: readonly (readonly [time: number, value: number])[] = [[T0, 1]],
): Uint8Array {
  return bytesField(
    1,
    Buffer.concat([
      ...labels,
      ...samples.map(([time, value]) => sampleField({ timeMs: BigInt(time), bits: bitsOf(value) })),
    ]),
  );
}

const good = (name = 'good', samples?: readonly (readonly [number, number])[]) =>
  oneSeries([labelField('__name__', name)], samples);

function push(...parts: Uint8Array[]): Promise<PushOutcome> {
  const body = snappy(Buffer.concat(parts));
  return distributor.push(TENANT, [body], body.length);
}

async function stored(): Promise<Record<string, number[]>> {
  const held = ingester.hold(TENANT)!;
  try {
    const found = await selectAll(new HeadReader(held.view.memory));
    return Object.fromEntries(
      found.map((series) => [series.labels, [...samplesOf(series).keys()].map((time) => time - T0)]),
    );
  } finally {
    held.release();
  }
}

async function discarded(reason: string): Promise<number> {
  const line = (await metrics.render())
    .split('\n')
    .find((l) => l.startsWith(`varve_discarded_samples_total{reason="${reason}"`));
  return line === undefined ? 0 : Number(line.split(' ').at(-1));
}

const name = labelField('__name__', 'bad');
const raw = (nameBytes: Uint8Array, valueBytes: Uint8Array) =>
  bytesField(1, Buffer.concat([bytesField(1, nameBytes), bytesField(2, valueBytes)]));
const text = (value: string) => Buffer.from(value, 'utf8');

describe('a request with bad and good samples', () => {
  const rows: [reason: string, bad: Uint8Array, refused: number, before?: Uint8Array][] = [
    [
      'missing_metric_name',
      oneSeries(
        [labelField('a', 'b')],
        [
          [T0, 1],
          [T0 + 1, 1],
        ],
      ),
      2,
    ],
    ['missing_metric_name', oneSeries([]), 1],
    ['metric_name_invalid', oneSeries([raw(text('__name__'), Uint8Array.from([0xff, 0xfe]))]), 1],
    ['label_invalid', oneSeries([name, labelField('', 'x')]), 1],
    ['label_invalid', oneSeries([name, raw(Uint8Array.from([0x61, 0x80]), text('x'))]), 1],
    ['label_value_invalid', oneSeries([name, raw(text('a'), Uint8Array.from([0xed, 0xa0, 0x80]))]), 1],
    ['label_name_too_long', oneSeries([name, labelField('\u0001'.repeat(1025), 'x')]), 1],
    ['label_value_too_long', oneSeries([name, labelField('a', '\u{1f600}'.repeat(600))]), 1],
    [
      'labels_size_bytes_exceeded',
      oneSeries([
        name,
        ...Array.from({ length: 20 }, (_, i) =>
          labelField(`a${String(i).padStart(2, '0')}`, '\u0002'.repeat(2000)),
        ),
      ]),
      1,
    ],
    [
      'max_label_names_per_series',
      oneSeries([
        name,
        ...Array.from({ length: 60 }, (_, i) => labelField(`a${String(i).padStart(2, '0')}`, 'v')),
      ]),
      1,
    ],
    ['duplicate_label_names', oneSeries([name, labelField('a', 'b'), labelField('a', 'c')]), 1],
    ['duplicate_label_names', oneSeries([labelField('a', 'b'), name, labelField('a', '')]), 1],
    ['too_far_in_future', good('f', [[T0 + 600_001, 1]]), 1],
    [
      'sample-too-old',
      good('o', [
        [T0 - 1_800_001, 1],
        [T0 - 4_000_000, 1],
      ]),
      2,
      good('o', [[T0, 1]]),
    ],
    ['new-value-for-timestamp', good('n', [[T0, 2]]), 1, good('n', [[T0, 1]])],
  ];
  test.each(rows)('keeps the good ones: %s', async (...row) => {
    const [reason, bad, refused, before] = row;
    if (before !== undefined) expect(await push(before)).toMatchObject({ status: 204 });
    const outcome = await push(
      good('first'),
      bad,
      good('last', [
        [T0, 1],
        [T0 + 1000, 2],
      ]),
    );
    expect(outcome.status).toBe(400);
    expect(outcome.message.startsWith(`${reason}: `)).toBe(true);
    expect(Buffer.byteLength(outcome.message)).toBeLessThanOrEqual(1024);
    expect(outcome.message).toContain(`(${refused} refused)`);
    expect(outcome.message).toMatch(/; 3 samples of the request were stored$/);
    expect(await discarded(reason)).toBe(refused);
    expect(await stored()).toMatchObject({ '__name__=first': [0], '__name__=last': [0, 1000] });
  });

  test('names every reason in a message of 1 KiB at most', async () => {
    await push(good('n', [[T0, 1]]));
    const all = rows.filter(([, , , before]) => before === undefined).map(([, bad]) => bad);
    const outcome = await push(...all, good());
    expect(outcome.status).toBe(400);
    expect(Buffer.byteLength(outcome.message)).toBeLessThanOrEqual(1024);
    expect(outcome.message).toMatch(/; 1 samples of the request were stored$/);
    for (const reason of new Set(rows.filter(([, , , before]) => before === undefined).map(([one]) => one)))
      expect(await discarded(reason)).toBeGreaterThan(0);
  });

  test('answers by the rules of a head without a window', async () => {
    limits = { ...DEFAULT_LIMITS, outOfOrderTimeWindowMs: 0 };
    await ingester.stop();
    await start();
    await push(good('a', [[T0, 1]]), good('b', [[T0, 1]]));
    const late = await push(good('a', [[T0 - 1000, 1]]), good('b', [[T0 + 1000, 1]]));
    expect(late.message).toMatch(/^sample-out-of-order: sample at 2023-11-14T22:13:19.000Z of a\{\}/);
    const old = await push(good('c', [[T0 - 3_700_000, 1]]));
    expect(old.message).toMatch(/^sample-out-of-bounds: /);
    expect(await stored()).toEqual({ '__name__=a': [0], '__name__=b': [0, 1000] });
  });
});

describe('a request', () => {
  test('is stored once however often it is sent', async () => {
    for (let i = 0; i < 3; i++)
      expect(
        await push(
          good('a', [
            [T0, 1],
            [T0 + 1000, 2],
          ]),
        ),
      ).toEqual({ status: 204, message: '', retryAfterSeconds: 0 });
    expect(await stored()).toEqual({ '__name__=a': [0, 1000] });
  });

  test('means the same series in whatever way its labels are written', async () => {
    const a = raw(text('a'), text('b'));
    const n = labelField('__name__', 'm');
    const spellings: Uint8Array[][] = [
      [n, a],
      [a, n],
      [n, a, labelField('z', '')],
      [n, bytesField(1, Buffer.concat([bytesField(2, text('b')), bytesField(1, text('a'))]))],
      [n, Buffer.from([0x8a, 0x00, 0x86, 0x00, 0x0a, 0x01, 0x61, 0x12, 0x01, 0x62])],
      [
        n,
        bytesField(
          1,
          Buffer.concat([bytesField(1, text('a')), bytesField(2, text('b')), Buffer.from([0x48, 0x07])]),
        ),
      ],
    ];
    for (const [i, labels] of spellings.entries())
      expect(await push(oneSeries(labels, [[T0 + i * 1000, i]]))).toMatchObject({ status: 204 });
    // Samples may also stand between the labels.
    const between = bytesField(
      1,
      Buffer.concat([n, sampleField({ timeMs: BigInt(T0 + 9000), bits: 1n }), a]),
    );
    expect(await push(between)).toMatchObject({ status: 204 });
    expect(await stored()).toEqual({ '__name__=m,a=b': [0, 1000, 2000, 3000, 4000, 5000, 9000] });
  });

  test.each<[string, () => Uint8Array, number, string]>([
    ['not snappy', () => Buffer.from('hello'), 400, 'snappy-invalid'],
    ['empty', () => new Uint8Array(0), 400, 'snappy-invalid'],
    ['a bomb', () => Uint8Array.from([...uvarintBytes(4_000_000n), 1, 2, 3]), 400, 'snappy-invalid'],
    [
      'too large',
      () => Uint8Array.from([...uvarintBytes(5_000_000n), ...new Array(300).fill(0)]),
      413,
      'body-too-large',
    ],
    ['not a write request', () => snappy(Buffer.from('hello world')), 400, 'write-request-malformed'],
    [
      'good and then malformed',
      () => snappy(Buffer.concat([good(), oneSeries([bytesField(1, Uint8Array.from([8, 1]))])])),
      400,
      'write-request-malformed',
    ],
    [
      'good and then malformed metadata',
      () => snappy(Buffer.concat([good(), bytesField(3, Uint8Array.from([0x12, 9]))])),
      400,
      'write-request-malformed',
    ],
  ])('that is %s stores nothing', async (_what, body, status, code) => {
    const bytes = body();
    const outcome = await distributor.push(TENANT, [bytes], bytes.length);
    expect(outcome.status).toBe(status);
    expect(outcome.message.startsWith(`${code}: `)).toBe(true);
    expect(await stored()).toEqual({});
  });

  test('without samples is a success', async () => {
    expect(await push()).toMatchObject({ status: 204 });
    expect(await push(oneSeries([labelField('__name__', 'none')], []))).toMatchObject({ status: 204 });
  });

  test('over the rate gets 429 and a time to come back', async () => {
    limits = { ...DEFAULT_LIMITS, ingestionRate: 10, ingestionBurstSize: 20 };
    const samples = Array.from({ length: 15 }, (_, i) => [T0 + i, i] as const);
    expect(await push(good('a', samples))).toMatchObject({ status: 204 });
    const refused = await push(good('b', samples));
    expect(refused).toMatchObject({ status: 429, retryAfterSeconds: 1 });
    expect(refused.message).toMatch(/^rate_limited: /);
    expect(await discarded('rate_limited')).toBe(15);
    expect(Object.keys(await stored())).toEqual(['__name__=a']);
    clock.advance(1000);
    expect(await push(good('b', samples))).toMatchObject({ status: 204 });
    const tooMany = Array.from({ length: 21 }, (_, i) => [T0 + i, i] as const);
    const hopeless = await push(good('d', tooMany));
    expect(hopeless).toMatchObject({ status: 400, retryAfterSeconds: 0 });
    expect(hopeless.message).toContain('limits.ingestion_burst_size');
    limits = { ...DEFAULT_LIMITS, requestRate: 1, requestBurstSize: 1 };
    expect(await push(good('c'))).toMatchObject({ status: 204 });
    expect(await push(good('c'))).toMatchObject({ status: 429 });
  });

  test('over the series limit keeps feeding the series that are there', async () => {
    limits = { ...DEFAULT_LIMITS, maxGlobalSeriesPerUser: 2 };
    const outcome = await push(good('a'), good('b'), good('c'), good('d'));
    expect(outcome.status).toBe(400);
    expect(outcome.message).toMatch(/^per_user_series_limit: .*\(2 refused\); 2 samples/);
    expect(await push(good('a', [[T0 + 1, 1]]))).toMatchObject({ status: 204 });
    expect(await stored()).toEqual({ '__name__=a': [0, 1], '__name__=b': [0] });
  });

  test('leaves metadata, and drops what is switched off with a count', async () => {
    limits = { ...DEFAULT_LIMITS, nativeHistogramsIngestionEnabled: false };
    const metadata = bytesField(
      3,
      Buffer.concat([
        Buffer.from([0x08, 1]),
        bytesField(2, text('m')),
        bytesField(4, text('ü'.repeat(2000))),
        bytesField(5, text('bytes')),
      ]),
    );
    const histogram = bytesField(
      1,
      Buffer.concat([labelField('__name__', 'h'), bytesField(4, text('x')), bytesField(3, text('e'))]),
    );
    expect((await push(metadata, histogram)).status).toBe(204);
    const entries = ingester.metadata(TENANT).get('m')!;
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ type: 'counter', unit: 'bytes' });
    expect(entries[0]!.help.length).toBeLessThanOrEqual(1024);
    expect(await discarded('native-histogram-sample')).toBe(1);
  });

  test('gets 503 when the head is full, and the samples are taken after a flush', async () => {
    await ingester.stop();
    await start(112 * 2 ** 20);
    let outcome: PushOutcome = { status: 204, message: '', retryAfterSeconds: 0 };
    for (let i = 0; i < 200 && outcome.status === 204; i++) {
      outcome = await push(
        ...Array.from({ length: 200 }, (_, k) =>
          oneSeries([labelField('__name__', 'm'), labelField('x', `${i}-${k}-${'y'.repeat(300)}`)]),
        ),
      );
    }
    expect(outcome).toMatchObject({ status: 503, retryAfterSeconds: 5 });
    expect(outcome.message).toMatch(/^head-memory-full: /);
    expect(await ingester.flush(TENANT)).toBe(1);
    expect(await push(good())).toMatchObject({ status: 204 });
  });

  test('gets 503 after the ingester has stopped', async () => {
    await push(good());
    await ingester.stop();
    expect(await push(good())).toMatchObject({ status: 503 });
    expect(await distributor.push('other', [], 0)).toMatchObject({ status: 503 });
  });
});
