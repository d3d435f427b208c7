import type { Varve } from '../../e2e/varve.js';
import { type IngestFigures, ingest, progress, settle } from './ingest.js';
import { type Inventory, takeInventory } from './inventory.js';
import type { Setup } from './setup.js';
import type { Store } from './store.js';

const REPLICAS = 3;
/** What may be left of the copies. */
const RATIO_MAX = 1.02;

export interface ReplicaFigures {
  readonly ingest: IngestFigures;
  readonly settleSeconds: number;
  readonly single: Inventory;
  readonly replicated: Inventory;
  /** Bytes of raw blocks with three replicas by those of one. */
  readonly ratio: number;
  readonly isGood: boolean;
}

/**
 * The same samples into one process and, on another prefix of the bucket, into three with data folders of their own, all
 * at the same time; then what compaction left of the copies. The replicas cut blocks at different times, so that their
 * chunks don't begin and end with the same samples.
 */
export async function compareReplicas(store: Store, setup: Setup): Promise<ReplicaFigures> {
  progress(`${REPLICAS} replicas and one: ${setup.rfDays} days`);
  const single = await store.startIngesting('rf1');
  const replicas: Varve[] = [];
  for (let i = 0; i < REPLICAS; i++) replicas.push(await store.startIngesting('rf3'));
  const all = [single, ...replicas];
  try {
    const figures = await ingest(setup, all, setup.rfDays, replicas);
    const [singleBucket, replicatedBucket] = [await store.bucket('rf1'), await store.bucket('rf3')];
    const one = await settle(setup, singleBucket, [single]);
    const three = await settle(setup, replicatedBucket, replicas);
    singleBucket.close();
    replicatedBucket.close();
    const [before, after] = [takeInventory(one.listing), takeInventory(three.listing)];
    const [rawOfOne, rawOfThree] = [before.levels[0]!, after.levels[0]!];
    const ratio = rawOfThree.bytes / rawOfOne.bytes;
    return {
      ingest: figures,
      settleSeconds: one.seconds + three.seconds,
      single: before,
      replicated: after,
      ratio,
      isGood:
        ratio <= RATIO_MAX && rawOfOne.samples === rawOfThree.samples && rawOfOne.samples === figures.samples,
    };
  } finally {
    for (const varve of all) await varve.stop();
  }
}
