import { FolderBucket } from '../../bucket/index.js';
import { DEFAULT_LIMITS } from '../../limits/index.js';
import { Metrics, silentLogger } from '../../telemetry/index.js';
import { Compactor } from '../compactor.js';
import { ThreadEngine } from '../engine.js';
import { soleOwner } from '../owners.js';
import { HOUR, OPTIONS } from './tenant-fixture.js';

/**
 * A compactor to be killed: `node kill-child.js BUCKET_FOLDER SCRATCH_FOLDER`. Works on the bucket until nothing is
 * left to do, several times in a row, as marking and deleting take turns, then prints `idle`. What was replaced is deleted
 * at once, so that every step comes about.
 */

const [bucketFolder = '', scratchFolder = ''] = process.argv.slice(2);
const clock = { nowMs: () => Date.now() + HOUR, monotonicMs: () => performance.now() };
const compactor = new Compactor({
  bucket: new FolderBucket(bucketFolder),
  clock,
  limits: { of: () => DEFAULT_LIMITS },
  logger: silentLogger,
  metrics: new Metrics({ withProcessMetrics: false, version: 'test' }),
  engine: new ThreadEngine(),
  owners: soleOwner,
  options: { ...OPTIONS, scratchFolder, deletionDelayMs: 0, partialDelayMs: 1 },
});
process.stdout.write('begin\n');
for (let idle = 0; idle < 4; ) {
  const failures = await compactor.cleanOnce();
  idle = (await compactor.compactOnce()) === 0 && failures === 0 ? idle + 1 : 0;
}
await compactor.stop();
process.stdout.write('idle\n');
