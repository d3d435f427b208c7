import { STALE_MARKER_BITS } from '../wire.js';
import type { Family } from './data.js';
import { CUSTOM_BOUNDS_SCHEMA, HINT, type WireHistogram } from './histogram-wire.js';
import type { Random } from './random.js';
import type { PointValue } from './series.js';

/** Native histograms of the differential suite. */

const JOBS = ['api', 'web'];
const INSTANCES = ['i0', 'i1', 'i2'];

/** Each family's `instance` decides on the variant. */
export const NATIVE_FAMILIES: readonly Family[] = [
  // Integer counters of three schemas, with resets.
  { name: 'size_bytes', kind: 'native', labels: { instance: INSTANCES, job: JOBS } },
  // Floats: counter, gauge, with negative buckets.
  { name: 'delay', kind: 'native', labels: { instance: INSTANCES, job: JOBS } },
  // Schema and zero bucket change on the way.
  { name: 'shifting', kind: 'native', labels: { instance: INSTANCES, job: JOBS } },
  // Custom bounds; those of i2 change on the way.
  { name: 'custom', kind: 'native', labels: { instance: INSTANCES, job: JOBS } },
  // Floats and histograms in turns, and exponential and custom ones in turns.
  { name: 'mixed', kind: 'mixed', labels: { instance: INSTANCES, job: JOBS } },
  // Observations that are NaN, stale markers.
  { name: 'strange', kind: 'native', labels: { instance: INSTANCES, job: JOBS } },
];

type Histogram = Omit<WireHistogram, 'timestampMs'>;

/** The observations so far of one series. */
class Recorder {
  schema: number;
  zeroThreshold: number;
  customValues: readonly number[];
  count = 0;
  sum = 0;
  zeroCount = 0;
  private readonly positive = new Map<number, number>();
  private readonly negative = new Map<number, number>();

  constructor(schema: number, zeroThreshold: number, customValues: readonly number[] = []) {
    this.schema = schema;
    this.zeroThreshold = zeroThreshold;
    this.customValues = customValues;
  }

  clear(): void {
    this.count = 0;
    this.sum = 0;
    this.zeroCount = 0;
    this.positive.clear();
    this.negative.clear();
  }

  observe(value: number, weight = 1): void {
    this.count += weight;
    this.sum += value * weight;
    if (Number.isNaN(value)) return;
    if (this.schema === CUSTOM_BOUNDS_SCHEMA) {
      const index = this.customValues.findIndex((bound) => value <= bound);
      add(this.positive, index < 0 ? this.customValues.length : index, weight);
    } else if (Math.abs(value) <= this.zeroThreshold) this.zeroCount += weight;
    else {
      const index = Math.ceil(Math.log2(Math.abs(value)) * 2 ** this.schema);
      add(value > 0 ? this.positive : this.negative, index, weight);
    }
  }

  snapshot(isFloat: boolean, hint: number): Histogram {
    return {
      isFloat,
      schema: this.schema,
      hint,
      count: this.count,
      sum: this.sum,
      zeroThreshold: this.zeroThreshold,
      zeroCount: this.zeroCount,
      positive: [...this.positive].sort(([a], [b]) => a - b),
      negative: [...this.negative].sort(([a], [b]) => a - b),
      customValues: this.customValues,
    };
  }
}

function add(counts: Map<number, number>, index: number, weight: number): void {
  counts.set(index, (counts.get(index) ?? 0) + weight);
}

function positiveValue(random: Random): number {
  return Math.exp(random.normal() * 1.5);
}

function signedValue(random: Random): number {
  return random.chance(0.15) ? 0 : random.normal() * 3;
}

/** What a series of a native family shows at each scrape. */
export function nativePoints(
  random: Random,
  labels: Readonly<Record<string, string>>,
): (tick: number) => PointValue | null {
  const variant = INSTANCES.indexOf(labels['instance']!);
  switch (labels['__name__']) {
    case 'size_bytes':
      return counterPoints(random, new Recorder([0, 3, -1][variant]!, [0.001, 0, 1e-128][variant]!));
    case 'delay':
      return floatPoints(random, variant);
    case 'shifting':
      return shiftingPoints(random);
    case 'custom':
      return customPoints(random, variant);
    case 'mixed':
      return mixedPoints(random, variant);
    default:
      return strangePoints(random, variant);
  }
}

function counterPoints(random: Random, recorder: Recorder): (tick: number) => PointValue {
  return () => {
    if (random.chance(0.02)) recorder.clear();
    for (let n = random.int(5); n > 0; n--) recorder.observe(positiveValue(random));
    return { histogram: recorder.snapshot(false, HINT.unknown) };
  };
}

function floatPoints(random: Random, variant: number): (tick: number) => PointValue {
  const recorder = new Recorder([2, 1, 0][variant]!, 0.01);
  const isGauge = variant === 1;
  return () => {
    if (isGauge || random.chance(0.02)) recorder.clear();
    for (let n = 1 + random.int(5); n > 0; n--) {
      recorder.observe(variant === 0 ? positiveValue(random) : signedValue(random), 0.25 + random.int(8) / 4);
    }
    return { histogram: recorder.snapshot(true, isGauge ? HINT.gauge : HINT.unknown) };
  };
}

function shiftingPoints(random: Random): (tick: number) => PointValue {
  let recorder = new Recorder(2, 0.001);
  return () => {
    if (random.chance(0.04)) {
      const kept = recorder.count;
      recorder = new Recorder(random.int(5) - 1, random.pick([0.001, 0.01, 0.25]));
      // Many at once: the total grows in spite of the new layout, so only the layout tells of the change.
      for (let n = Math.ceil(kept); n > 0; n--) recorder.observe(signedValue(random));
    }
    for (let n = random.int(4); n > 0; n--) recorder.observe(signedValue(random));
    return { histogram: recorder.snapshot(false, HINT.unknown) };
  };
}

const BOUND_LISTS: readonly (readonly number[])[] = [
  [0.1, 0.5, 1, 5],
  [-1, 0, 1, 2],
  [0.5, 1, 2, 5, 10],
  [0.5, 5],
];

function customPoints(random: Random, variant: number): (tick: number) => PointValue {
  let recorder = new Recorder(CUSTOM_BOUNDS_SCHEMA, 0, BOUND_LISTS[variant]!);
  return () => {
    if (random.chance(0.02)) recorder.clear();
    if (variant === 2 && random.chance(0.05)) {
      recorder = new Recorder(CUSTOM_BOUNDS_SCHEMA, 0, random.pick(BOUND_LISTS.slice(2)));
    }
    for (let n = random.int(4); n > 0; n--) recorder.observe(signedValue(random));
    return { histogram: recorder.snapshot(variant === 1, HINT.unknown) };
  };
}

function mixedPoints(random: Random, variant: number): (tick: number) => PointValue | null {
  const exponential = new Recorder(1, 0.001);
  const custom = new Recorder(CUSTOM_BOUNDS_SCHEMA, 0, BOUND_LISTS[0]!);
  let isOther = false;
  let total = 0;
  return (tick) => {
    if (random.chance(0.06)) isOther = !isOther;
    for (const recorder of [exponential, custom]) recorder.observe(positiveValue(random));
    total += random.int(10);
    if (variant === 2) return { histogram: (isOther ? custom : exponential).snapshot(false, HINT.unknown) };
    if (isOther) return { value: total };
    return { histogram: exponential.snapshot(variant === 1, tick % 40 > 20 ? HINT.gauge : HINT.unknown) };
  };
}

function strangePoints(random: Random, variant: number): (tick: number) => PointValue | null {
  const recorder = new Recorder(1, 0.5);
  let isGone = false;
  return () => {
    const wasGone = isGone;
    if (variant !== 0 && random.chance(0.06)) isGone = !isGone;
    recorder.observe(signedValue(random));
    if (variant === 0 && random.chance(0.03)) recorder.clear();
    if (variant === 0 && random.chance(0.05)) recorder.observe(NaN);
    if (!isGone) return { histogram: recorder.snapshot(false, HINT.unknown) };
    if (wasGone) return null;
    const empty = new Recorder(0, 0).snapshot(false, HINT.unknown);
    return variant === 2 ? { value: STALE_MARKER_BITS } : { histogram: { ...empty, sum: STALE_MARKER_BITS } };
  };
}
