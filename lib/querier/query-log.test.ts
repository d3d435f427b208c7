import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '../clock/index.js';
import { createLogger, silentLogger } from '../telemetry/index.js';
import { type QueryFacts, QueryLog } from './query-log.js';

const ORIGIN = { remoteAddress: '10.0.0.1:5', dashboardUid: 'd<1>', panelId: '7', grafanaUser: 'ann' };

function factsOf(query: string, rangeMs = 0, tenant = 'a'): QueryFacts {
  const startMs = 1_700_000_000_000;
  return { tenant, query, startMs, endMs: startMs + rangeMs, stepMs: rangeMs / 10, origin: ORIGIN };
}

function makeLog(slowMs = 0) {
  const clock = new ManualClock(0);
  const lines: unknown[] = [];
  const logger =
    slowMs === 0
      ? silentLogger
      : createLogger({ level: 'info', write: (line) => lines.push(JSON.parse(line)) });
  const log = new QueryLog(clock, logger, slowMs);
  const run = (facts: QueryFacts, ms: number, samples = 0) => {
    const ended = log.begin(facts);
    clock.advance(ms);
    ended({ status: 200, samples });
  };
  const top = (topN = 20, lifetimeMs = 600_000) =>
    JSON.parse(log.topJson('a', topN, lifetimeMs)) as Record<string, Record<string, unknown>[]>;
  return { clock, lines, log, run, top };
}

describe('running queries', () => {
  test('are shown to their tenant while they run', () => {
    const { clock, log } = makeLog();
    const ended = log.begin(factsOf('up', 60_000));
    log.begin(factsOf('other', 0, 'b'));
    clock.advance(1234);
    expect(log.activeJson('a')).toBe(
      '{"status":"ok","data":[{"duration":"1.234s","id":"0000000000000001","remote_addr":"10.0.0.1:5","query":"up",' +
        '"start":1700000000000,"end":1700000060000,"step":6000,"tenant":"a","dashboardUid":"d\\u003c1\\u003e","panelId":"7","grafanaUser":"ann"}]}',
    );
    ended({ status: 200, samples: 1 });
    expect(log.activeJson('a')).toBe('{"status":"ok","data":[]}');
  });
});

describe('finished queries', () => {
  test('are summed by text and length of range, and ranked by four measures', () => {
    const { run, top } = makeLog();
    run(factsOf('often'), 10, 1);
    run(factsOf('often'), 20, 2);
    run(factsOf('often', 3_600_000), 5, 3);
    run(factsOf('slow'), 1000, 4);
    run(factsOf('big'), 2, 100);
    run(factsOf('other', 0, 'b'), 9000, 9000);
    const { topByCount, topByAvgDuration, topBySumDuration, topBySumSamples, ...rest } = top(2);
    expect(rest).toMatchObject({
      topN: '2',
      maxLifetime: '10m',
      'search.queryStats.minQueryDuration': '1ms',
    });
    const from = { tenant: 'a', dashboardUid: 'd<1>', panelId: '7', grafanaUser: 'ann' };
    expect(topByCount![0]).toEqual({ query: 'often', timeRangeSeconds: 0, count: 2, ...from });
    expect(topByAvgDuration).toEqual([
      { query: 'slow', timeRangeSeconds: 0, avgDurationSeconds: 1, count: 1, ...from },
      { query: 'often', timeRangeSeconds: 0, avgDurationSeconds: 0.015, count: 2, ...from },
    ]);
    expect(topBySumDuration!.map(({ query, sumDurationSeconds }) => [query, sumDurationSeconds])).toEqual([
      ['slow', 1],
      ['often', 0.03],
    ]);
    expect(topBySumSamples!.map(({ query, sumSamples }) => [query, sumSamples])).toEqual([
      ['big', 100],
      ['slow', 4],
    ]);
  });

  test('are forgotten after their lifetime, and short ones never counted', () => {
    const { clock, run, top } = makeLog();
    run(factsOf('old'), 10);
    clock.advance(5000);
    run(factsOf('short'), 0);
    run(factsOf('new'), 10);
    expect(top(20, 1000)['topByCount']!.map(({ query }) => query)).toEqual(['new']);
  });

  test('are bounded in number and in text', () => {
    const { run, top } = makeLog();
    for (let i = 0; i < 20_100; i++) run(factsOf(i < 100 ? 'first' : 'later'), 1);
    expect(top()['topByCount']!.map(({ query, count }) => [query, count])).toEqual([['later', 20_000]]);
    const long = 'x'.repeat(6_000_000);
    for (const end of 'abcd') run(factsOf(long + end), 1);
    expect(top()['topByCount']!.map(({ query }) => (query as string).at(-1))).toEqual(['d', 'c']);
  });
});

test('slow queries are logged with who asked', () => {
  const { lines, run } = makeLog(1000);
  run(factsOf('quick'), 999);
  run(factsOf('x'.repeat(5000), 60_000), 1500, 42);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: 'warn',
    message: 'slow query',
    tenant: 'a',
    query: `${'x'.repeat(4096)}…`,
    startMs: 1_700_000_000_000,
    endMs: 1_700_000_060_000,
    stepMs: 6000,
    seconds: 1.5,
    samples: 42,
    status: 200,
    remoteAddress: '10.0.0.1:5',
    dashboardUid: 'd<1>',
    panelId: '7',
    grafanaUser: 'ann',
  });
});
