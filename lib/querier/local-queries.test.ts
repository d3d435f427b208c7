import { describe, expect, test } from '@jest/globals';
import { codecKernel, HeadKernel, ScanKernel } from '../kernel/index.js';
import { LocalQueries } from './local-queries.js';
import { smallSelectors } from './small-queries.js';
import type { SourceSnapshot } from './sources.js';
import type { QueryWorkerData } from './task.js';

const PARSER = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  durationExpressions: true,
};
const WORKER: QueryWorkerData = {
  engine: {
    lookbackMs: 300_000,
    evaluationIntervalMs: 60_000,
    samplesMax: 1_000_000,
    memoryBytesMax: 2 ** 26,
    parser: PARSER,
  },
  blocks: {
    bucket: {
      url: { kind: 'folder', folder: '' },
      flatTenant: '',
      s3: {
        ...({ endpoint: '', region: '', pathStyle: 'auto', checksums: 'when-required' } as const),
        ...({ encryption: 'none', kmsKeyId: '', partBytes: 0, maxConnections: 0 } as const),
        ...{ requestTimeoutMs: 0, deadlineMs: 0 },
      },
    },
    ...{ localFolder: '', cacheFolder: '', openBlocksMax: 1 },
    cacheBytes: { postings: 0, series: 0, chunks: 0 },
  },
  nice: 0,
};
const NOW_MS = 1_700_000_000_000;

function field(tag: number, bytes: readonly number[]): number[] {
  expect(bytes.length).toBeLessThan(128);
  return [tag, bytes.length, ...bytes];
}

/** A head of one sample per series: `hosts` times `modes` of them. */
function headOf(hosts: number, modes: number): WebAssembly.Memory {
  const value = Buffer.alloc(8);
  value.writeDoubleLE(2.5);
  const time: number[] = [];
  let left = NOW_MS;
  for (; left >= 128; left = Math.floor(left / 128)) time.push((left % 128) | 128);
  time.push(left);
  const bytes: number[] = [];
  for (let i = 0; i < hosts * modes; i++) {
    const labels = [
      ['__name__', 'm'],
      ['host', `h${Math.floor(i / modes)}`],
      ['mode', `mode-${i % modes}`],
    ].flatMap(([name, text]) =>
      field(0x0a, [...field(0x0a, [...Buffer.from(name!)]), ...field(0x12, [...Buffer.from(text!)])]),
    );
    bytes.push(...field(0x0a, [...labels, ...field(0x12, [0x09, ...value, 0x10, ...time])]));
  }
  const body = codecKernel().snappyEncode(Uint8Array.from(bytes));
  const scan = new ScanKernel();
  const head = new HeadKernel({ chunkRangeMs: 7_200_000, outOfOrderWindowMs: 0, memoryBytesMax: 2 ** 28 });
  const { seriesCount } = scan.load([body], body.length, 2 ** 24);
  head.loadBatch(scan);
  for (let i = 0; i < seriesCount; i++) head.setRef(i, head.create(scan.labelBytes(i)));
  head.appendLoaded(NOW_MS);
  return head.memory;
}

const MEMORY = headOf(20, 20);
const SNAPSHOT: SourceSnapshot = {
  sources: [{ kind: 'head', minTimeMs: 0, maxTimeMs: NOW_MS, memoryKey: 'head-1' }],
  attachments: [{ key: 'head-1', value: MEMORY }],
  release: () => {},
};
const WINDOW = { minTimeMs: NOW_MS - 300_000, maxTimeMs: NOW_MS };

function request(query: string, steps = 1) {
  const stepMs = steps === 1 ? 0 : 15_000;
  return { query, startMs: NOW_MS - (steps - 1) * stepMs, endMs: NOW_MS, stepMs, lookbackMs: 0, limit: 0 };
}

async function run(local: LocalQueries, query: string, sources = SNAPSHOT.sources): Promise<string> {
  const fetchLimits = { seriesMax: 0, chunksMax: 0, bytesMax: 0 };
  const task = {
    kind: 'query',
    request: request(query),
    maxResolutionMs: 0,
    withStats: false,
    notes: [],
    fetchLimits,
    answerBytesMax: 0,
    sources,
  } as const;
  return Buffer.from((await local.run(task, 1000)).body).toString();
}

describe('constants', () => {
  test.each([
    ['1 + 1', true],
    ['-(2 ^ .5) % 3e2 >= bool 0x1F', true],
    ['time() - 5', true],
    ['vector(1)', true],
    ['vector ( scalar(vector(NaN)) ) * pi()', true],
    ['-Inf', true],
    ['1 +', true],
    ['', true],
    ['up', false],
    ['time', false],
    ['time + 1', false],
    ['TIME()', false],
    ['pi', false],
    ['vector(up)', false],
    ['{a="b"}', false],
    ['"text"', false],
    ['1 @ 5', false],
    ['infinite', false],
    ['bool_metric', false],
    [`1 ${'+ 1'.repeat(200)}`, false],
  ])('%j: %s', (query, isTaken) => {
    expect(new LocalQueries(WORKER).takesConstant(request(query))).toBe(isTaken);
  });

  // Would not end in anyone's lifetime if all ways to divide the number were tried.
  test('are told apart in time that grows with the text only', () => {
    expect(new LocalQueries(WORKER).takesConstant(request(`${'1'.repeat(300)}{`))).toBe(false);
  });

  test('of many steps go to a thread', () => {
    expect(new LocalQueries(WORKER).takesConstant(request('1', 500))).toBe(true);
    expect(new LocalQueries(WORKER).takesConstant(request('1', 501))).toBe(false);
  });

  test('are answered, and so are their errors', async () => {
    const local = new LocalQueries(WORKER);
    expect(await run(local, '1 + 1', [])).toBe(
      '{"status":"success","data":{"resultType":"scalar","result":[1700000000,"2"]}}',
    );
    expect(await run(local, '1 +', [])).toMatch(/"errorType":"bad_data".*unexpected end of input/);
    expect(await run(local, 'sum(vector(3))', [])).toContain('"value":[1700000000,"3"]');
  });
});

describe('small queries', () => {
  test.each([
    ['m{host="h3"}', 1, true],
    ['rate(m{host="h3"}[5m]) / 4', 100, true],
    ['sum by (mode) (m{host="h3"}) > 1', 100, true],
    ['{__name__=~"m.*",host=~"h3|h4"}', 1, true],
    ['m{host="nobody"}', 1, true],
    ['m{host="h3"} / on (mode) m{host="h4"}', 1, true],
    ['m{host="h3"}', 1000, false],
    ['m', 1, false],
    ['m{host=~"h3.*"}', 1, false],
    ['m{host!="h3"}', 1, false],
    ['m{host="h1"} + m{host="h2"} + m{host="h3"}', 1, false],
    ['quantile_over_time(0.5, m{host="h3"}[5m])', 1, false],
    ['max_over_time(m{host="h3"}[5m:1s])', 1, false],
    ['m{host="h3"}[5m]', 1, false],
    ['label_replace(m{host="h3"}, "a", "b", "c", "d")', 1, false],
    ['m{host="h3"', 1, false],
  ])('%j at %d steps: %s', (query, steps, isTaken) => {
    expect(new LocalQueries(WORKER).takes(request(query, steps), WINDOW, SNAPSHOT)).toBe(isTaken);
  });

  test('of a long time, of blocks, or of several sources go to a thread', () => {
    const local = new LocalQueries(WORKER);
    const query = request('m{host="h3"}');
    const day = { minTimeMs: NOW_MS - 86_400_000, maxTimeMs: NOW_MS };
    const block = {
      ...({ kind: 'block', place: 'bucket', prefix: 't/', ulid: 'u' } as const),
      ...{ minTimeMs: 0, maxTimeMs: NOW_MS, resolutionMs: 0, sources: [], group: '' },
    };
    expect(local.takes(query, day, SNAPSHOT)).toBe(false);
    expect(local.takes(query, WINDOW, { ...SNAPSHOT, sources: [block] })).toBe(false);
    expect(local.takes(query, WINDOW, { ...SNAPSHOT, sources: [...SNAPSHOT.sources, block] })).toBe(false);
    expect(local.takes(query, WINDOW, { ...SNAPSHOT, sources: [] })).toBe(false);
  });

  test('are answered from the head', async () => {
    const local = new LocalQueries(WORKER);
    expect(local.takes(request('sum(m{host="h3"})'), WINDOW, SNAPSHOT)).toBe(true);
    expect(await run(local, 'sum(m{host="h3"})')).toContain('"value":[1700000000,"50"]');
  });

  test('of too many nodes are none', () => {
    expect(smallSelectors(`up${' + 1'.repeat(7)}`, PARSER)).toHaveLength(1);
    expect(smallSelectors(`up${' + 1'.repeat(8)}`, PARSER)).toBeNull();
  });
});
