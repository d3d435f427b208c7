import { pause } from '../../e2e/processes.js';
import type { Varve } from '../../e2e/varve.js';
import type { Bucket } from '../../lib/bucket/index.js';
import type { TenantListing } from '../../lib/bucketindex/index.js';
import { usageOf } from '../load/index.js';
import { Feed } from './feed.js';
import { isIndexed, jobsLeft, listBlocks, vanished } from './inventory.js';
import { DAY_MS, type Setup } from './setup.js';

export interface IngestFigures {
  /** Sent to each process. */
  readonly samples: number;
  /** Sending, without the waits for blocks. */
  readonly sendSeconds: number;
  /** Until all blocks were cut and stored. */
  readonly seconds: number;
  readonly feederCpuSeconds: number;
  /** Of all processes together. */
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
}

const LOOK_MS = 2000;
const SETTLE_TIMEOUT_MS = 4 * 3_600_000;

/**
 * Sends the last `days` of the run to each of some processes, in order of time; each day ends with its blocks stored.
 * @param uneven processes that cut blocks once more during each day, each at another time
 */
export async function ingest(
  setup: Setup,
  targets: readonly Varve[],
  days: number,
  uneven: readonly Varve[] = [],
): Promise<IngestFigures> {
  const startMs = setup.endMs - days * DAY_MS;
  const roundsPerDay = DAY_MS / setup.intervalMs;
  const feed = new Feed({ ...setup, urls: targets.map(({ pushUrl }) => pushUrl), startMs });
  const before = targets.map(({ pid }) => usageOf(pid).cpuMs);
  const startedMs = performance.now();
  let [samples, sendMs, feederCpuMs] = [0, 0, 0];
  try {
    for (let day = 0; day < days; day++) {
      const [samplesBefore, sendBeforeMs] = [samples, sendMs];
      let round = day * roundsPerDay;
      for (let part = 0; part <= uneven.length; part++) {
        const end = Math.floor((day + partEnd(part, uneven.length)) * roundsPerDay);
        const sent = await feed.send({ firstRound: round, roundCount: end - round });
        round = end;
        samples += sent.samples;
        sendMs += sent.elapsedMs;
        feederCpuMs += sent.cpuMs;
        if (part < uneven.length) await flush(uneven[part]!);
      }
      const flushedMs = performance.now();
      await Promise.all(targets.map((target) => flush(target)));
      const perSecond = ((samples - samplesBefore) * targets.length) / (sendMs - sendBeforeMs) / 1000;
      progress(
        `day ${day + 1} of ${days}: ${(samples / 1e6).toFixed(1)} M samples, ${perSecond.toFixed(2)} M/s, ` +
          `blocks stored in ${((performance.now() - flushedMs) / 1000).toFixed(1)} s`,
      );
    }
  } finally {
    feed.close();
  }
  const usages = targets.map(({ pid }) => usageOf(pid));
  return {
    samples,
    sendSeconds: sendMs / 1000,
    seconds: (performance.now() - startedMs) / 1000,
    feederCpuSeconds: feederCpuMs / 1000,
    cpuSeconds: usages.reduce((sum, { cpuMs }, i) => sum + cpuMs - before[i]!, 0) / 1000,
    peakRssBytes: Math.max(...usages.map(({ peakRssBytes }) => peakRssBytes)),
  };
}

/** When in a day a part of it ends, as a share of the day; all but the last not where a block would end anyway. */
function partEnd(part: number, cuts: number): number {
  return part === cuts ? 1 : (part + 0.9) / (cuts + 1);
}

async function flush(target: Varve): Promise<void> {
  const response = await fetch(`${target.url}/ingester/flush`, { method: 'POST' });
  const text = await response.text();
  if (!response.ok) throw new Error(`/ingester/flush answered ${response.status}: ${text.slice(0, 300)}`);
}

/** Waits until the compactors have nothing left to do. Resolves with what the bucket holds then. */
export async function settle(
  setup: Setup,
  bucket: Bucket,
  targets: readonly Varve[],
): Promise<{ readonly listing: TenantListing; readonly seconds: number }> {
  const startedMs = performance.now();
  let listing: TenantListing | null = null;
  let saidMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const before: TenantListing | null = listing;
    listing = await listBlocks(bucket, before);
    const lost = before === null ? [] : vanished(before, listing);
    if (lost.length > 0) {
      const again = await listBlocks(bucket, null);
      const returned = lost.filter((ulid) => again.index.blocks.some((block) => block.ulid === ulid));
      throw new Error(
        `blocks vanished that nobody had marked: ${lost.join(' ')}; listed again: ${returned.join(' ')}; ` +
          `${again.index.blocks.length} blocks now, ${before?.index.blocks.length} before`,
      );
    }
    const left = jobsLeft(listing, setup);
    if (left === 0 && (await isIndexed(bucket, listing))) break;
    const ended = targets.find((target) => !target.running());
    if (ended !== undefined) throw new Error(`${ended.name} has ended: see ${ended.logFile}`);
    const nowMs = performance.now();
    if (nowMs - startedMs > SETTLE_TIMEOUT_MS) throw new Error(`${left} jobs are left after four hours`);
    if (nowMs - saidMs > 20_000) {
      progress(
        left === null ? 'waiting for the age of new blocks' : `compacting: ${left} jobs planned at least`,
      );
      saidMs = nowMs;
    }
    await pause(LOOK_MS);
  }
  return { listing, seconds: (performance.now() - startedMs) / 1000 };
}

/** Tells what goes on, apart from the results. */
export function progress(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}
