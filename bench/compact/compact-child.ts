import { compactBlocks } from '../../lib/tsdb/compact/index.js';

/** Compacts blocks: `node compact-child.js DIRECTORY SOURCE...`; prints what it took as JSON. */

const [directory = '', ...sources] = process.argv.slice(2);
const started = performance.now();
const cpuBefore = process.cpuUsage();
const { meta, bytesRead, bytesWritten } = await compactBlocks(sources, { directory });
const cpu = process.cpuUsage(cpuBefore);
process.stdout.write(
  JSON.stringify({
    ulid: meta?.ulid,
    samples: meta?.stats.numSamples,
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    bytesRead,
    bytesWritten,
  }),
);
