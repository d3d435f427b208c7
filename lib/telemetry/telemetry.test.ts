import { expect, test } from '@jest/globals';
import { createLogger } from './logger.js';
import { Metrics } from './metrics.js';

test('a logger writes one JSON object per line at its level and above', () => {
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', write: (line) => lines.push(line) });
  logger.debug({ a: 1 }, 'hidden');
  logger.child({ tenant: 't' }).warn({ count: 2 }, 'seen');
  expect(lines).toHaveLength(1);
  const { time, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>;
  expect(rest).toEqual({ level: 'warn', tenant: 't', count: 2, message: 'seen' });
  expect(new Date(String(time)).getTime()).not.toBeNaN();
});

test('metrics of two processes in one do not mix', async () => {
  const [one, other] = [1, 2].map(() => new Metrics({ withProcessMetrics: false, version: '1.0.0' }));
  const bound = one!.counter('varve_test_total', 'A test.', ['kind']).labels('a');
  bound.inc();
  bound.inc(2);
  one!.gauge('varve_test_depth', 'A test.', [], (gauge) => gauge.set(5));
  one!.histogram('varve_test_seconds', 'A test.', ['route']).labels('/x').observe(0.3);
  const text = await one!.render();
  expect(text).toContain('varve_test_total{kind="a"} 3');
  expect(text).toContain('varve_test_depth 5');
  expect(text).toContain('varve_test_seconds_bucket{le="0.5",route="/x"} 1');
  expect(text).toContain(`varve_build_info{version="1.0.0",node="${process.version}"} 1`);
  expect(await other!.render()).not.toContain('varve_test');
});
