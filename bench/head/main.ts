import { compress } from '../../e2e/wire.js';
import { HeadKernel, ScanKernel } from '../../lib/kernel/index.js';
import { RequestBody } from '../load/body.js';

/**
 * The kernel's part of the write path: snappy decode and scan, lookup of the series, append with log encoding. Prints ns
 * per sample of each and the bytes per series that the head uses. `node dist/bench/head/main.js [series] [rounds]`
 */

const SERIES_PER_REQUEST = 2000;
const STEP_MS = 15_000;
const START_MS = 1_700_000_000_000;

const seriesCount = Number(process.argv[2] ?? 100_000);
const roundCount = Number(process.argv[3] ?? 12);

const scan = new ScanKernel();
const head = new HeadKernel({
  chunkRangeMs: 7_200_000,
  outOfOrderWindowMs: 1_800_000,
  memoryBytesMax: 4 * 2 ** 30,
});
const bodies: RequestBody[] = [];
for (let first = 0; first < seriesCount; first += SERIES_PER_REQUEST)
  bodies.push(new RequestBody(first, Math.min(SERIES_PER_REQUEST, seriesCount - first)));

const spent = { scan: 0, lookup: 0, append: 0, create: 0 };
let sampleCount = 0;
let usedBefore = 0;
for (let round = 0; round < roundCount; round++) {
  const time = START_MS + round * STEP_MS;
  for (const body of bodies) {
    body.fill(time);
    const request = compress(body.bytes);
    const t0 = performance.now();
    const columns = scan.load([request], request.length, 2 ** 27);
    const t1 = performance.now();
    if (round === 0 && usedBefore === 0) usedBefore = head.usedBytes;
    const missing = head.loadBatch(scan);
    const t2 = performance.now();
    if (missing > 0) {
      for (let i = 0; i < columns.seriesCount; i++)
        if (head.refAt(i) === 0) head.setRef(i, head.create(scan.labelBytes(i)));
    }
    const t3 = performance.now();
    head.appendLoaded(time + 600_000);
    head.takeBatch(false);
    const t4 = performance.now();
    if (round === 0) {
      spent.create += t3 - t2;
      continue;
    }
    sampleCount += columns.sampleCount;
    spent.scan += t1 - t0;
    spent.lookup += t2 - t1;
    spent.append += t4 - t3;
  }
}

const perSample = (ms: number) => ((ms * 1e6) / sampleCount).toFixed(1);
process.stdout.write(
  `${seriesCount} series, ${roundCount} rounds, ns per sample: scan ${perSample(spent.scan)}, ` +
    `lookup ${perSample(spent.lookup)}, append ${perSample(spent.append)}; ` +
    `new series ${((spent.create * 1e6) / seriesCount).toFixed(0)} ns; ` +
    `${((head.usedBytes - usedBefore) / seriesCount).toFixed(0)} bytes per series\n`,
);
