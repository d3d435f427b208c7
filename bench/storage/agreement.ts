import { ask } from './ask.js';
import { compare, type Difference, EXACT } from './difference.js';
import type { Setup } from './setup.js';
import type { Store } from './store.js';

/** Clusters whose instances are scraped exactly on full hours among others, and never on one: see values.ts. */
const CLUSTERS = { 'on borders': 'prod-eu-west-1', 'off borders': 'prod-eu-west-2' } as const;
export type Placement = keyof typeof CLUSTERS;

interface Check {
  readonly func: string;
  readonly metric: string;
  /**
   * Largest relative difference off the borders, and on them. Both are null where the grain of the level shows: a plain
   * gauge is the mean of its window there.
   */
  readonly tolerance: number | null;
}

const CHECKS: readonly Check[] = [
  { func: 'min_over_time', metric: 'node_load1', tolerance: EXACT },
  { func: 'max_over_time', metric: 'node_load1', tolerance: EXACT },
  { func: 'count_over_time', metric: 'node_load1', tolerance: EXACT },
  { func: 'sum_over_time', metric: 'node_load1', tolerance: EXACT },
  { func: 'avg_over_time', metric: 'node_load1', tolerance: EXACT },
  { func: 'rate', metric: 'node_cpu_seconds_total', tolerance: 0.02 },
  { func: 'increase', metric: 'node_cpu_seconds_total', tolerance: 0.02 },
  { func: '', metric: 'node_load1', tolerance: null },
];

export interface Agreement {
  readonly func: string;
  readonly placement: Placement;
  readonly tolerance: number | null;
  readonly difference: Difference;
  /** Whether the tolerance holds and no value is missing; only judged off the borders. */
  readonly isGood: boolean;
}

/** Every function over the series of one cluster, one by one: the level that the server chooses against raw samples. */
export async function measureAgreement(store: Store, setup: Setup, prefix: string): Promise<Agreement[]> {
  const varve = await store.startAsking(prefix);
  const found: Agreement[] = [];
  try {
    for (const placement of Object.keys(CLUSTERS) as Placement[]) {
      for (const { func, metric, tolerance } of CHECKS) {
        const selector = `${metric}{cluster="${CLUSTERS[placement]}"}`;
        const query = func === '' ? selector : `${func}(${selector}[1h])`;
        const difference = compare(
          await ask(varve, setup, query, 'auto'),
          await ask(varve, setup, query, '0s'),
        );
        const { missing, added, relativeMax } = difference;
        const isComplete = missing === 0 && added === 0;
        const isGood =
          placement === 'on borders' || tolerance === null || (isComplete && relativeMax <= tolerance);
        found.push({ func: func === '' ? 'plain gauge' : func, placement, tolerance, difference, isGood });
      }
    }
  } finally {
    await varve.stop();
  }
  return found;
}
