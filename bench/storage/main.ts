import { cpus, totalmem } from 'node:os';
import { stopAll } from '../../e2e/processes.js';
import { measureAgreement } from './agreement.js';
import { bytesRatio, measureDashboard, measurePanels } from './dashboard.js';
import { ingest, progress, settle } from './ingest.js';
import { takeInventory } from './inventory.js';
import { compareReplicas } from './replicas.js';
import { printAgreement, printIngest, printInventory, printPanels } from './report.js';
import { checkDisk, gigabytes, readSetup, type Setup, samplesOf, USAGE } from './setup.js';
import { Store } from './store.js';

/**
 * The whole way of samples, over a real S3 server: remote write, blocks, compaction, downsampling, and the dashboard of
 * somebody who looks at all of it from a process that has just been started. See docs/benchmarks.md.
 */

/** How much less windows of moving values have to read than from raw samples, at a step of an hour. */
const BYTES_RATIO_MIN = 20;
const PREFIX = 'main';

/** Ingests, compacts, downsamples. */
async function fill(store: Store, setup: Setup, summary: Summary): Promise<void> {
  const varve = await store.startIngesting(PREFIX);
  const bucket = await store.bucket(PREFIX);
  try {
    const figures = await ingest(setup, [varve], setup.days);
    const { listing, seconds } = await settle(setup, bucket, [varve]);
    const inventory = takeInventory(listing);
    printIngest(figures, 1, seconds);
    printInventory(inventory);
    summary['ingest'] = { ...figures, settleSeconds: seconds };
    summary['inventory'] = inventory;
    const kept = inventory.levels[0]!.samples;
    if (kept !== figures.samples) fail(`${figures.samples} samples were sent, the raw blocks hold ${kept}`);
  } finally {
    bucket.close();
    await varve.stop();
  }
}

async function query(store: Store, setup: Setup, summary: Summary): Promise<void> {
  progress('panels, one by one');
  const panels = await measurePanels(store, setup, PREFIX);
  progress('the dashboard at once');
  const dashboards = [
    await measureDashboard(store, setup, PREFIX, 'auto'),
    await measureDashboard(store, setup, PREFIX, '0s'),
  ];
  printPanels(panels, dashboards);
  progress('values against raw samples');
  const agreement = await measureAgreement(store, setup, PREFIX);
  printAgreement(agreement);
  const ratio = bytesRatio(panels, 'moving');
  summary['panels'] = panels;
  summary['dashboards'] = dashboards;
  summary['bytesRatio'] = ratio;
  summary['agreement'] = agreement;
  if (!(ratio >= BYTES_RATIO_MIN))
    fail(`windows of moving values read only ${ratio.toFixed(1)} × less than from raw samples`);
  for (const { func, placement, isGood } of agreement) {
    if (!isGood) fail(`${func} ${placement}: outside the tolerance`);
  }
}

async function replicate(store: Store, setup: Setup, summary: Summary): Promise<void> {
  const figures = await compareReplicas(store, setup);
  printIngest(figures.ingest, 4, figures.settleSeconds);
  process.stdout.write('\nRF 1:\n');
  printInventory(figures.single);
  process.stdout.write('\nRF 3:\n');
  printInventory(figures.replicated);
  process.stdout.write(`\nraw blocks of RF 3 / RF 1: ${figures.ratio.toFixed(4)}\n`);
  summary['replicas'] = figures;
  if (!figures.isGood) fail('the raw blocks of RF 3 are not those of RF 1');
}

type Summary = Record<string, unknown>;
const failures: string[] = [];

function fail(text: string): void {
  failures.push(text);
  process.exitCode = 1;
}

async function run(setup: Setup): Promise<void> {
  const startedMs = performance.now();
  const needed = checkDisk(setup);
  const store = await Store.open(setup);
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${(totalmem() / 1e9).toFixed(0)} GB, Node ${process.version}`;
  const { days, series, intervalMs } = setup;
  process.stdout.write(
    `${machine}; S3: ${store.server.name}; ${series} series × ${days} days every ${intervalMs / 1000} s, about ` +
      `${(samplesOf(setup, days) / 1e6).toFixed(0)} M samples; needs up to ${gigabytes(needed)} of disk\n`,
  );
  const summary: Summary = { machine, s3: store.server.name, setup };
  try {
    if (!setup.isRfOnly) {
      await fill(store, setup, summary);
      if (setup.hasQueries) await query(store, setup, summary);
    }
    if (setup.rfDays > 0) await replicate(store, setup, summary);
  } finally {
    await stopAll();
    await store.close();
  }
  const seconds = (performance.now() - startedMs) / 1000;
  process.stdout.write(`\n${(seconds / 60).toFixed(1)} minutes in all\n`);
  for (const text of failures) process.stdout.write(`FAILED: ${text}\n`);
  process.stdout.write(`${JSON.stringify({ ...summary, seconds, failures })}\n`);
}

const setup = readSetup(process.argv.slice(2), Date.now());
if (setup === null) process.stdout.write(`${USAGE}\n`);
else await run(setup);
