import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { BlockStore, DEFAULT_FETCH_OPTIONS } from '../blockstore/index.js';
import { FolderBucket } from '../bucket/index.js';
import { VarveError } from '../errors/index.js';
import type { Matcher } from '../matcher/index.js';
import { TaskExecutor } from './executor.js';
import { TIME_MS_MAX, TIME_MS_MIN } from './params.js';
import { SourceReaders } from './source-readers.js';
import type { BlockDescriptor } from './sources.js';
import type { LookupTask } from './task.js';

/** A block that Prometheus' library wrote. It lies beside the checkout, or where VARVE_SHARED says. */
const SHARED = process.env['VARVE_SHARED'] ?? join(process.cwd(), '../shared');
const ULID = '01M7YEQ6GFKXAT4GS3X8BJV064';
const folder = join(SHARED, 'fixtures/thanos-bucket');
const directory = join(folder, ULID);
if (!existsSync(directory)) process.stderr.write('SKIPPED: no fixture blocks (set VARVE_SHARED)\n');

function equals(name: string, value: string): Matcher {
  const matches = (candidate: string) => candidate === value;
  return {
    type: '=',
    name,
    value,
    isNegative: false,
    matchesEmpty: false,
    oneOf: [value],
    prefix: value,
    matches,
  };
}

const describeIf = existsSync(directory) ? describe : describe.skip;

describeIf('a block of Prometheus', () => {
  const blocks = new BlockStore({
    bucket: new FolderBucket(folder),
    folder,
    cacheDirectory: '',
    cacheBytes: { postings: 0, series: 0, chunks: 0 },
    fetch: DEFAULT_FETCH_OPTIONS,
    openBlocksMax: 4,
  });
  const readers = new SourceReaders(Promise.resolve({ local: blocks, bucket: blocks }), () => {
    throw new VarveError('internal', 'no-head', 'there is no head here');
  });
  const language = {
    parseSelector: (text: string) => [equals('__name__', text)],
    selectors: () => [],
    format: (query: string) => query,
    toTree: (query: string) => query,
  };
  const executor = new TaskExecutor(
    { execute: () => Promise.reject(new Error('no engine')) },
    language,
    readers,
  );
  const block: BlockDescriptor = {
    kind: 'block',
    place: 'bucket',
    prefix: '',
    ulid: ULID,
    minTimeMs: 0,
    maxTimeMs: TIME_MS_MAX,
    resolutionMs: 0,
    sources: [ULID],
    group: '',
  };
  const lookup: LookupTask = {
    selectors: [],
    minTimeMs: TIME_MS_MIN,
    maxTimeMs: TIME_MS_MAX,
    limit: 0,
    answerBytesMax: 0,
    fetchedBytesMax: 0,
    sources: [block],
  };
  const control = { isCancelled: () => false, deadlineMs: Number.POSITIVE_INFINITY, queuedMs: 0 };

  async function answerTo(task: Parameters<typeof executor.execute>[0]): Promise<unknown> {
    const { body } = await executor.execute(task, control);
    await readers.tidy(performance.now());
    return (JSON.parse(Buffer.from(body).toString()) as { data: unknown }).data;
  }

  test('answers labels, label values and series', async () => {
    const names = (await answerTo({ kind: 'labelNames', ...lookup })) as string[];
    expect(names).toContain('__name__');
    expect(names).toEqual([...names].sort());
    const metrics = (await answerTo({ kind: 'labelValues', name: '__name__', ...lookup })) as string[];
    expect(metrics).toContain('http_requests_total');
    const series = await answerTo({ kind: 'series', ...lookup, selectors: ['http_requests_total'] });
    expect(series).toContainEqual({ __name__: 'http_requests_total', instance: 'a', job: 'api' });
    expect(blocks.openCount).toBe(1);
  });

  test('answers nothing without sources', async () => {
    expect(await answerTo({ kind: 'labelNames', ...lookup, sources: [] })).toEqual([]);
  });
});
