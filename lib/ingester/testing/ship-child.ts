import { FolderBucket } from '../../bucket/index.js';
import { metaName } from '../../bucketindex/index.js';
import { systemClock } from '../../clock/index.js';
import { Metrics, silentLogger } from '../../telemetry/index.js';
import { LocalBlocks } from '../local-blocks.js';
import { DEFAULT_SHIPPER_OPTIONS, Shipper } from '../shipper.js';

/**
 * A shipper to be killed: `node ship-child.js BLOCKS_FOLDER BUCKET_FOLDER`. Ships until nothing is left here, then prints
 * `empty`. Blocks count as listed once they are in the bucket and are deleted here at once, so that every step comes about.
 */

const [blocksFolder = '', bucketFolder = ''] = process.argv.slice(2);
const metrics = new Metrics({ withProcessMetrics: false, version: 'test' });
const bucket = new FolderBucket(bucketFolder);
process.stdout.write('begin\n');
const localBlocks = new LocalBlocks({ directory: blocksFolder, logger: silentLogger, metrics });
await localBlocks.load();
const shipper = new Shipper({
  localBlocks,
  bucket,
  clock: systemClock,
  logger: silentLogger,
  metrics,
  options: { ...DEFAULT_SHIPPER_OPTIONS, localRetentionMs: 0 },
  listedIn: async (tenant, ulid) => (await bucket.stat(metaName(tenant, ulid))) !== null,
});
await shipper.start();
while (localBlocks.tenants().length > 0) await shipper.round();
await shipper.stop();
process.stdout.write('empty\n');
