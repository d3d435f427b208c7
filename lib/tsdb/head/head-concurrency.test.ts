import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import { bitsOf, type TestSeries } from '../../kernel/testing/write-request.js';
import { Head } from './head.js';
import { HEAD_OPTIONS, push } from './testing/head-fixture.js';

// One thread selects without pause while this one appends, lets memory grow, cuts and lets go. Series come and go, so ids
// and memory are reused all the time; labels and values are made such that the reader can tell any mixture.

const T0 = 1_699_999_200_000;
const ROUNDS = 24;

test('a reader in another thread always sees whole labels and right samples', async () => {
  const head = new Head({ ...HEAD_OPTIONS, outOfOrderWindowMs: 3_600_000 });
  const worker = new Worker(new URL('./testing/reader-worker.js', import.meta.url), {
    workerData: head.view.memory,
  });
  let selects = 0;
  let samples = 0;
  let problem: string | null = null;
  let running = true;
  const reading = (async () => {
    while (running && problem === null) {
      const hold = head.hold();
      const reply = new Promise<{ count: number; problem: string | null }>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      worker.postMessage(selects);
      const answer = await reply;
      hold.release();
      worker.removeAllListeners('error');
      selects++;
      samples += answer.count;
      problem ??= answer.problem;
    }
  })();
  for (let round = 0; round < ROUNDS && problem === null; round++) {
    const base = T0 + round * 600_000;
    for (let part = 0; part < 12; part++) {
      const batch: TestSeries[] = Array.from({ length: 150 }, (_, i) => {
        const times = Array.from({ length: 12 }, (_, k) => base + part * 50_000 + k * 1000);
        if (part % 4 === 3) times.push(base + part * 50_000 - 25_500);
        return {
          labels: [
            ['__name__', `metric_${i % 10}`],
            ['id', `${Math.floor(round / 2)}-${i}`],
            ['kind', i % 2 === 0 ? 'even' : 'odd'],
            ['shared', 'yes'],
          ],
          samples: times.map((time) => ({ timeMs: BigInt(time), bits: bitsOf(time) })),
        };
      });
      push(head.kernel, batch);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (round % 3 === 2) {
      await head.mark(base - 300_000);
      await head.drained();
      await head.dropMarked();
    }
  }
  running = false;
  await reading;
  await worker.terminate();
  expect(problem).toBeNull();
  expect(selects).toBeGreaterThan(10);
  expect(samples).toBeGreaterThan(30_000);
  expect(head.kernel.retiredCount).toBe(0);
}, 60_000);
