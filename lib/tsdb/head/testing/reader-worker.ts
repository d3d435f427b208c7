import { parentPort, workerData } from 'node:worker_threads';
import { createMatcher } from '../../../matcher/index.js';
import { HeadReader } from '../head-reader.js';
import { samplesOf, selectAll } from './head-fixture.js';

/**
 * Reads a head over and over while another thread writes it, one select per message, and checks every answer: times of a
 * series ascend, and each sample's value is its time (the writer sees to that). Replies with the number of samples, or
 * with what was wrong.
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
  const selectors = [
    [],
    [createMatcher('=~', '__name__', 'metric_[0-4]')],
    [createMatcher('=', 'shared', 'yes'), createMatcher('!=', 'kind', 'odd')],
  ];
  let count = 0;
  const matchers = selectors[round % selectors.length]!;
  const newestOnly = Math.floor(round / selectors.length) % 2 === 1;
  const { MIN_SAFE_INTEGER, MAX_SAFE_INTEGER } = Number;
  for (const series of await selectAll(reader, matchers, MIN_SAFE_INTEGER, MAX_SAFE_INTEGER, newestOnly)) {
    if (!/^__name__=metric_\d+,id=\d+-\d+,kind=(odd|even),shared=yes$/.test(series.labels))
      throw new Error(`labels ${series.labels}`);
    const [, name, id, kind] = /metric_(\d+),id=\d+-(\d+),kind=(\w+)/.exec(series.labels)!;
    if (Number(id) % 10 !== Number(name) || (Number(id) % 2 === 0) !== (kind === 'even'))
      throw new Error(`labels ${series.labels}`);
    if (round % selectors.length === 2 && kind === 'odd') throw new Error(`not selected: ${series.labels}`);
    const view = new DataView(new ArrayBuffer(8));
    for (const chunk of series.chunks)
      chunk.times.forEach((time, i) => {
        if (i > 0 && time <= chunk.times[i - 1]!) throw new Error(`times do not ascend in ${series.labels}`);
      });
    for (const [time, bits] of samplesOf(series)) {
      view.setFloat64(0, time);
      if (view.getBigUint64(0) !== bits) throw new Error(`value ${bits} at ${time} of ${series.labels}`);
      count++;
    }
  }
  return count;
}
