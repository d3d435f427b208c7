import { DATA_END_MS, DATA_START_MS, SCRAPE_MS } from './data.js';
import type { Random } from './random.js';

/** When a query is evaluated, as parameters of the HTTP API. */
export interface Evaluation {
  readonly path: 'query' | 'query_range';
  readonly parameters: Readonly<Record<string, string>>;
}

/** A time or a range within the data, or a little outside. */
export function randomEvaluation(random: Random): Evaluation {
  const seconds = (ms: number): string => (ms / 1000).toFixed(3);
  const extra: Record<string, string> = {};
  if (random.chance(0.03)) extra['lookback_delta'] = random.pick(['10s', '1m', '20']);
  const atMs = DATA_START_MS + random.int(DATA_END_MS - DATA_START_MS + 5 * 60_000);
  const time = random.chance(0.4) ? atMs - (atMs % SCRAPE_MS) : atMs;
  if (random.chance(0.55)) return { path: 'query', parameters: { time: seconds(time), ...extra } };
  // Ranges are sorted, so here it is defined what a limit leaves.
  if (random.chance(0.05)) extra['limit'] = random.pick(['1', '3', '1000']);
  const stepMs = random.pick([15_000, 30_000, 60_000, 7_000, 20_500, 300_000, 1_000]);
  const endMs = time + stepMs * random.int(30) + random.int(2) * 500;
  return {
    path: 'query_range',
    parameters: { start: seconds(time), end: seconds(endMs), step: String(stepMs / 1000), ...extra },
  };
}
