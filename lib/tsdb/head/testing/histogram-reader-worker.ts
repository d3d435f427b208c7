import { parentPort, workerData } from 'node:worker_threads';
import { HeadReader } from '../head-reader.js';
import { mixedSamplesOf, predictedKey, selectMixed } from './histogram-fixture.js';

/**
 * Reads a head over and over while another thread writes it, one select per message, and checks every sample: what it must
 * be follows from series and time. Replies with the number of histograms, or with what was wrong.
 */
const reader = new HeadReader(workerData as WebAssembly.Memory);

parentPort!.on('message', (round: number) => {
  check(round).then(
    (count) => parentPort!.postMessage({ count, problem: null }),
    (thrown: unknown) =>
      parentPort!.postMessage({ count: 0, problem: String(thrown instanceof Error ? thrown.stack : thrown) }),
  );
});

async function check(round: number): Promise<number> {
  let count = 0;
  for (const series of await selectMixed(reader, -8.64e15, 8.64e15, round % 3 === 0)) {
    const i = Number(/i=(\d+)/.exec(series.labels)![1]);
    for (const { times, keys } of series.chunks) {
      times.forEach((time, k) => {
        if (k > 0 && time <= times[k - 1]!) throw new Error(`times do not ascend in ${series.labels}`);
        const expected = predictedKey(i, time);
        if (keys[k] !== expected)
          throw new Error(`${series.labels} at ${time} is ${keys[k]}, not ${expected}`);
      });
    }
    count += [...mixedSamplesOf(series).values()].filter((key) => !key.startsWith('number')).length;
  }
  return count;
}
