import { kindOf } from '../load/index.js';

/**
 * What the series of `bench/load` are worth over days: counters that begin again at zero when their instance restarts,
 * gauges that move about a mean and with the time of day, states that rarely change. Ten families in the order of
 * `labelsOf`, with the digits that such metrics have in life. All of it follows from the number of the series, the
 * round and the value before, and every value is positive, so that sums lose no digits.
 */

const SERIES_PER_INSTANCE = 100;
const FAMILIES = 10;
/** One hour in so many begins with a restart of the instance: once in four days. */
const HOURS_PER_RESTART = 97;
/** Scrapes that fail while an instance restarts. */
const ABSENT_ROUNDS = 4;
const PAGE = 4096;

/** A 32-bit mixing function: the same numbers for ever. */
function mix(seed: number): number {
  let x = seed | 0;
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  return (x ^ (x >>> 16)) >>> 0;
}

function unit(a: number, b: number): number {
  return mix(Math.imul(a, 0x9e3779b1) + Math.imul(b, 0x85ebca6b)) / 2 ** 32;
}

/** The instance of a series. */
export function instanceOf(series: number): number {
  return Math.floor(series / SERIES_PER_INSTANCE);
}

/**
 * When within the interval an instance is scraped. A quarter of them, those of the first cluster, exactly on multiples
 * of the interval, so that samples stand on the borders of windows; the others never on a full second.
 */
export function scrapeOffsetMs(instance: number, intervalMs: number): number {
  if (instance % 4 === 0) return 0;
  return 1 + 2 * Math.floor(unit(instance, 77) * ((intervalMs - 2) / 2));
}

/** Of an instance in a round: `absent` has no sample, `reset` is the first round after a restart. */
export type State = 'up' | 'absent' | 'reset';

export function stateOf(instance: number, round: number, intervalMs: number): State {
  const perHour = Math.floor(3_600_000 / intervalMs);
  const hour = Math.floor(round / perHour);
  const chance = mix(Math.imul(instance + 1, 0x2545f491) ^ hour);
  if (perHour <= ABSENT_ROUNDS + 1 || chance % HOURS_PER_RESTART !== 0) return 'up';
  const since = (round % perHour) - ((chance >>> 8) % (perHour - ABSENT_ROUNDS));
  if (since < 0 || since > ABSENT_ROUNDS) return 'up';
  return since === ABSENT_ROUNDS ? 'reset' : 'absent';
}

/** The value of a series before its first round. */
export function firstValue(series: number): number {
  const random = unit(series, 0);
  switch ((series % SERIES_PER_INSTANCE) % FAMILIES) {
    case 3:
    case 5:
      return Math.floor(20_000 + random * 200_000) * PAGE;
    case 4:
      return Math.round(100 + random * 900) / 100;
    case 6:
      return [0.25, 0.5, 1, 2, 536870912, 1073741824][mix(series) % 6]!;
    case 7:
      return mix(series) % 5 === 0 ? 1 : 0;
    case 9:
      return 40 + Math.floor(random * 20);
    default:
      return Math.floor(random * 1e6);
  }
}

/**
 * The next value of a series.
 * @param isReset whether a counter begins again
 */
export function nextValue(series: number, round: number, previous: number, isReset: boolean): number {
  const random = unit(series, round);
  const family = (series % SERIES_PER_INSTANCE) % FAMILIES;
  const kind = kindOf(series);
  const from = isReset && (kind === 'counter' || family === 8) ? 0 : previous;
  const busy = 0.2 + unit(series, -1);
  switch (family) {
    // Seconds of a processor, in hundredths.
    case 0:
      return Math.round((from + random * busy * 20) * 100) / 100;
    // Bytes; every third interface hardly sees any.
    case 1:
      return from + (series % 3 === 0 && random < 0.9 ? 0 : Math.floor(random * busy * 1_500_000));
    // Seconds counted in nanoseconds, with all digits.
    case 2:
      return from + Math.floor(random * busy * 6e9) / 1e9;
    // Free memory in pages, about a mean.
    case 3:
      return (
        Math.max(1, Math.round(from / PAGE + (random - 0.5) * 400 + (120_000 - from / PAGE) / 2000)) * PAGE
      );
    // Load in hundredths.
    case 4:
      return Math.max(0.01, Math.round((from * 0.98 + busy * 0.08 + (random - 0.5) * 0.4) * 100) / 100);
    // Working set: still in most rounds.
    case 5:
      return random < 0.6 ? from : Math.max(1, Math.round(from / PAGE + (random - 0.8) * 500 + 1)) * PAGE;
    case 6:
      return from;
    case 7:
      return random < 0.0005 ? 1 - from : from;
    // Sum of durations: all digits, half of the services idle at most times.
    case 8:
      return random < (series % 20 < 10 ? 0.7 : 0.1) ? from : from + random * busy;
    // Whole degrees.
    default:
      return random < 0.85 ? from : Math.max(20, Math.min(95, from + (random < 0.925 ? 1 : -1)));
  }
}
