import { kindOf } from './series.js';

/** A step of a 32-bit mixing function: the same numbers for ever, whatever the order they are asked for in. */
function mix(seed: number): number {
  let x = seed | 0;
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  return (x ^ (x >>> 16)) >>> 0;
}

function unit(series: number, round: number): number {
  return mix(Math.imul(series, 0x9e3779b1) + Math.imul(round, 0x85ebca6b)) / 2 ** 32;
}

/**
 * Advances the value of a series by one scrape: counters by small whole steps with pauses, gauges by hundredths,
 * constants not at all, noise by a full mantissa.
 * @param previous the value of the round before; ignored in round 0
 */
export function nextValue(series: number, round: number, previous: number): number {
  const random = unit(series, round);
  if (round === 0) return Math.floor(random * 1e6);
  switch (kindOf(series)) {
    case 'counter':
      return random < 0.3 ? previous : previous + Math.floor(random * 100);
    case 'gauge':
      return Math.round((previous + (random - 0.5) * 10) * 100) / 100;
    case 'constant':
      return previous;
    case 'noise':
      return previous + random;
  }
}
