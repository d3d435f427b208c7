import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compress } from '../../e2e/wire.js';
import { replayLog } from '../../lib/ingester/index.js';
import { HeadKernel, ScanKernel } from '../../lib/kernel/index.js';
import { Head } from '../../lib/tsdb/head/index.js';
import { GroupCommit, splitPages } from '../../lib/tsdb/wal/index.js';
import { RequestBody } from '../load/body.js';

/** Writes a log as an ingester does and reads it back: samples per second. `node dist/bench/head/replay.js [series] [rounds]` */

const seriesCount = Number(process.argv[2] ?? 100_000);
const roundCount = Number(process.argv[3] ?? 60);
const OPTIONS = { chunkRangeMs: 7_200_000, outOfOrderWindowMs: 1_800_000, memoryBytesMax: 4 * 2 ** 30 };

const directory = mkdtempSync(join(tmpdir(), 'varve-replay-'));
try {
  const head = new HeadKernel(OPTIONS);
  const commit = await GroupCommit.open({
    directory,
    source: head,
    sync: 'none',
    syncIntervalMs: 1000,
    segmentBytesMax: 128 * 2 ** 20,
    firstSegment: 0,
    splitRecords: splitPages,
  });
  const scan = new ScanKernel();
  const bodies: RequestBody[] = [];
  for (let first = 0; first < seriesCount; first += 2000)
    bodies.push(new RequestBody(first, Math.min(2000, seriesCount - first)));
  for (let round = 0; round < roundCount; round++) {
    for (const body of bodies) {
      body.fill(1_700_000_000_000 + round * 15_000);
      const request = compress(body.bytes);
      const columns = scan.load([request], request.length, 2 ** 27);
      if (head.loadBatch(scan) > 0)
        for (let i = 0; i < columns.seriesCount; i++)
          if (head.refAt(i) === 0) head.setRef(i, head.create(scan.labelBytes(i)));
      head.appendLoaded(8e15);
      await commit.commit();
    }
  }
  await commit.close();
  const progress = { segment: 0, lastSegment: 0 };
  const result = await replayLog(directory, new Head(OPTIONS), null, progress);
  process.stdout.write(
    `${result.seriesCount} series, ${result.sampleCount} samples replayed in ${result.seconds.toFixed(2)} s: ` +
      `${(result.sampleCount / result.seconds / 1e6).toFixed(2)} M samples/s\n`,
  );
} finally {
  rmSync(directory, { recursive: true, force: true });
}
