import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import { Head } from './head.js';
import { append, HEAD_OPTIONS } from './testing/head-fixture.js';
import { predicted, refOf } from './testing/histogram-fixture.js';

// One thread selects without pause while this one appends histograms, widens and moves their chunks, cuts and lets go.

const T0 = 1_699_999_200_000;
const SERIES = 30;
const STEPS = 900;

test('a reader in another thread always sees whole histograms', async () => {
  const head = new Head({ ...HEAD_OPTIONS, outOfOrderWindowMs: 3_600_000 });
  const worker = new Worker(new URL('./testing/histogram-reader-worker.js', import.meta.url), {
    workerData: head.view.memory,
  });
  let selects = 0;
  let histograms = 0;
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
      histograms += answer.count;
      problem ??= answer.problem;
    }
  })();
  const store = (i: number, timeMs: number) => {
    const sample = predicted(i, timeMs);
    const labels: [string, string][] = [
      ['__name__', 'h'],
      ['i', String(i)],
    ];
    if (typeof sample === 'bigint')
      append(head.kernel, [{ labels, samples: [{ timeMs: BigInt(timeMs), bits: sample }] }]);
    else head.histograms.append(refOf(head, labels), timeMs, sample, 8.64e15);
  };
  for (let step = 0; step < STEPS && problem === null; step++) {
    const timeMs = T0 + step * 10_000;
    for (let i = 0; i < SERIES; i++) {
      store(i, timeMs);
      if (step % 20 === 19) store(i, timeMs - 95_000);
    }
    head.kernel.takeBatch(false);
    await new Promise((resolve) => setImmediate(resolve));
    if (step % 150 === 149) {
      await head.mark(timeMs - 300_000);
      await head.drained();
      await head.dropMarked();
    }
  }
  running = false;
  await reading;
  await worker.terminate();
  expect(problem).toBeNull();
  expect(selects).toBeGreaterThan(10);
  expect(histograms).toBeGreaterThan(5000);
  expect(head.kernel.retiredCount).toBe(0);
}, 60_000);
