import { type FloatValue, STALE_MARKER_BITS } from '../wire.js';
import { NATIVE_FAMILIES, nativePoints } from './native-data.js';
import { Random } from './random.js';
import type { GeneratedSeries, PointValue } from './series.js';

/**
 * The samples of the differential suite: small families that hold every kind of value and of disorder which the engine
 * treats apart. All of it is determined by the seed.
 */

/** When the samples begin: a fixed time, so that a seed means the same data for ever. */
export const DATA_START_MS = 1_700_000_000_000;
export const SCRAPE_MS = 15_000;
export const SCRAPES = 160;
export const DATA_END_MS = DATA_START_MS + SCRAPES * SCRAPE_MS;

export type FamilyKind = 'gauge' | 'counter' | 'bucket' | 'info' | 'native' | 'mixed';

/** A metric name and what the query generator has to know about its series. */
export interface Family {
  readonly name: string;
  readonly kind: FamilyKind;
  /** Label names in order, and the values each takes; series are the product of them. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

const JOBS = ['api', 'web'];
const INSTANCES = ['i0', 'i1', 'i2'];
const BOUNDS = ['0.1', '0.5', '1', '2.5', '10', '+Inf'];

/** How the value of a family moves: called once per scrape of one series; null for no sample. */
type Walk = (random: Random, labels: Readonly<Record<string, string>>) => (tick: number) => FloatValue | null;

const gauge: Walk = (random) => {
  let level = random.normal() * 50;
  return () => (level += random.normal() * 5);
};

/** Small integers: equal values in many series. */
const ties: Walk = (random) => () => random.int(4) - 1;

const counter: Walk = (random) => {
  let total = random.int(1000);
  const pace = 1 + random.int(20);
  return () => {
    if (random.chance(0.015)) total = random.chance(0.5) ? 0 : random.int(5);
    return (total += random.int(pace));
  };
};

const fractions: Walk = (random) => {
  let total = random.next();
  return () => {
    if (random.chance(0.01)) total = 0;
    return (total += random.next() * 3);
  };
};

const SPECIALS: readonly number[] = [
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1,
  -1,
  1e308,
  -1e308,
  5e-324,
  1e-9,
  0.5,
  2,
];

const special: Walk = (random, labels) => {
  if (labels['kind'] === 'nan') return () => (random.chance(0.4) ? NaN : random.normal());
  if (labels['kind'] === 'inf')
    return () => (random.chance(0.3) ? random.pick([Infinity, -Infinity]) : random.normal());
  if (labels['kind'] === 'unit') return () => random.next() * 2 - 1;
  return () => random.pick(SPECIALS);
};

const sizes: Walk = (random, labels) => {
  const scale = labels['kind'] === 'big' ? 1e15 : 1e-12;
  return () => scale * (1 + random.next());
};

const gaps: Walk = (random, labels) => {
  let isGone = false;
  return (tick) => {
    const wasGone = isGone;
    if (random.chance(0.08)) isGone = !isGone;
    if (!isGone) return tick + random.next();
    // Half of the instances end with a marker, the others just stop.
    return !wasGone && labels['instance'] !== 'i1' ? STALE_MARKER_BITS : null;
  };
};

const stamps: Walk = (random) => {
  let seconds = random.int(4_000_000_000) - 1_000_000_000;
  return () => (seconds += random.int(3_000_000) + random.next());
};

const one: Walk = () => () => 1;

interface FloatFamily extends Family {
  readonly walk: Walk;
}

const FLOAT_FAMILIES: readonly FloatFamily[] = [
  { name: 'temperature', kind: 'gauge', labels: { instance: INSTANCES, job: JOBS }, walk: gauge },
  {
    name: 'replicas',
    kind: 'gauge',
    labels: { instance: INSTANCES, job: JOBS, zone: ['a', 'b'] },
    walk: ties,
  },
  {
    name: 'requests_total',
    kind: 'counter',
    labels: { code: ['200', '404', '500'], instance: INSTANCES, job: JOBS },
    walk: counter,
  },
  { name: 'seconds_total', kind: 'counter', labels: { instance: INSTANCES, job: JOBS }, walk: fractions },
  { name: 'odd', kind: 'gauge', labels: { job: JOBS, kind: ['inf', 'mix', 'nan', 'unit'] }, walk: special },
  { name: 'extreme', kind: 'gauge', labels: { job: JOBS, kind: ['big', 'tiny'] }, walk: sizes },
  { name: 'sparse', kind: 'gauge', labels: { instance: INSTANCES, job: JOBS }, walk: gaps },
  { name: 'stamp_seconds', kind: 'gauge', labels: { instance: INSTANCES, job: JOBS }, walk: stamps },
  {
    name: 'hosts',
    kind: 'gauge',
    labels: { host: ['h1', 'h10', 'h2', 'h20x', 'H3'], job: JOBS },
    walk: gauge,
  },
  { name: 'dotted.metric', kind: 'gauge', labels: { job: JOBS, 'net.peer é': ['x', 'ÿ <&>'] }, walk: gauge },
  { name: 'target_info', kind: 'info', labels: { instance: INSTANCES, job: JOBS }, walk: one },
  { name: 'build_info', kind: 'info', labels: { instance: INSTANCES, job: JOBS }, walk: one },
];

/** Labels that info metrics carry beside the identifying ones. */
function infoLabels(name: string, random: Random): Record<string, string> {
  return name === 'target_info'
    ? { region: random.pick(['eu', 'us']), version: `1.${random.int(3)}` }
    : { revision: `r${random.int(4)}` };
}

const BUCKET_FAMILIES: readonly Family[] = [
  { name: 'latency_bucket', kind: 'bucket', labels: { instance: INSTANCES, job: JOBS, le: BOUNDS } },
  // Buckets that shrink, bounds written in other ways, a group without +Inf, one bound that is no number.
  {
    name: 'broken_bucket',
    kind: 'bucket',
    labels: { job: ['api', 'text', 'web'], le: ['0', '1.0', '1e1', 'Inf'] },
  },
];

const LATENCY_PARTS: readonly Family[] = ['latency_sum', 'latency_count'].map((name) => ({
  name,
  kind: 'counter',
  labels: { instance: INSTANCES, job: JOBS },
}));

/** The families a query may name. */
export function familiesOf(withNative: boolean): readonly Family[] {
  const floats = [...FLOAT_FAMILIES, ...BUCKET_FAMILIES, ...LATENCY_PARTS];
  return withNative ? [...floats, ...NATIVE_FAMILIES] : floats;
}

/** All series of a seed, sorted by their labels. */
export function generateData(seed: number, withNative: boolean): GeneratedSeries[] {
  const random = new Random(seed);
  const all: GeneratedSeries[] = [];
  for (const family of FLOAT_FAMILIES) {
    for (const labels of productOf(family)) {
      const walk = family.walk(random, labels);
      const extra = family.kind === 'info' ? infoLabels(family.name, random) : {};
      // Info series come and go together: 3.5 takes one for another while some of them are away.
      const phaseMs = family.kind === 'info' ? 0 : phaseOf(random);
      all.push(scrape(phaseMs, { ...labels, ...extra }, (tick) => floatPoint(walk(tick))));
    }
  }
  for (const job of JOBS)
    for (const instance of INSTANCES) all.push(...latencySeries(random, { instance, job }));
  all.push(...brokenBuckets(random));
  if (withNative) {
    for (const family of NATIVE_FAMILIES) {
      for (const labels of productOf(family))
        all.push(scrape(phaseOf(random), labels, nativePoints(random, labels)));
    }
  }
  return all.sort((a, b) => (keyOfLabels(a.labels) < keyOfLabels(b.labels) ? -1 : 1));
}

function keyOfLabels(labels: Readonly<Record<string, string>>): string {
  return sortedLabels(labels).flat().join('\0');
}

/** Label pairs by name, in the order of bytes. */
export function sortedLabels(labels: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function floatPoint(value: FloatValue | null): PointValue | null {
  return value === null ? null : { value };
}

/** When in the scrape interval a series is scraped. */
function phaseOf(random: Random): number {
  return random.chance(0.3) ? 0 : random.int(SCRAPE_MS);
}

/** Collects the points of one series. */
function scrape(
  phaseMs: number,
  labels: Readonly<Record<string, string>>,
  pointAt: (tick: number, timestampMs: number) => PointValue | null,
): GeneratedSeries {
  const points = [];
  for (let tick = 0; tick < SCRAPES; tick++) {
    const timestampMs = DATA_START_MS + tick * SCRAPE_MS + phaseMs;
    const point = pointAt(tick, timestampMs);
    if (point !== null) points.push({ ...point, timestampMs });
  }
  return { labels, points };
}

function productOf(family: Family): Record<string, string>[] {
  let sets: Record<string, string>[] = [{ __name__: family.name }];
  for (const [name, values] of Object.entries(family.labels)) {
    sets = sets.flatMap((set) => values.map((value) => ({ ...set, [name]: value })));
  }
  return sets;
}

/** A classic histogram whose parts agree with one another at each scrape. */
function latencySeries(random: Random, labels: Readonly<Record<string, string>>): GeneratedSeries[] {
  const counts = BOUNDS.map(() => 0);
  const ticks: { buckets: number[]; sum: number }[] = [];
  let sum = 0;
  for (let tick = 0; tick < SCRAPES; tick++) {
    if (random.chance(0.01)) {
      counts.fill(0);
      sum = 0;
    }
    for (let n = random.int(6); n > 0; n--) {
      const value = Math.exp(random.normal());
      sum += value;
      BOUNDS.forEach((bound, i) => {
        if (bound === '+Inf' || value <= Number(bound)) counts[i]!++;
      });
    }
    ticks.push({ buckets: [...counts], sum });
  }
  const phase = new Random(random.int(1_000_000));
  const series = (name: string, extra: Record<string, string>, valueAt: (tick: number) => number) =>
    scrape(phaseOf(phase), { __name__: name, ...labels, ...extra }, (tick) => ({ value: valueAt(tick) }));
  return [
    ...BOUNDS.map((le, i) => series('latency_bucket', { le }, (tick) => ticks[tick]!.buckets[i]!)),
    series('latency_sum', {}, (tick) => ticks[tick]!.sum),
    series('latency_count', {}, (tick) => ticks[tick]!.buckets.at(-1)!),
  ];
}

function brokenBuckets(random: Random): GeneratedSeries[] {
  const bounds: Record<string, readonly string[]> = {
    api: ['0', '1.0', '1e1', 'Inf'],
    web: ['0', '1.0', '1e1'],
    text: ['0', 'one', '+Inf'],
  };
  return Object.entries(bounds).flatMap(([job, les]) =>
    les.map((le, i) => {
      let total = i * 3;
      return scrape(phaseOf(random), { __name__: 'broken_bucket', job, le }, () => ({
        value: (total += random.int(4)),
      }));
    }),
  );
}
