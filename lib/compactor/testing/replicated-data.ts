import { float, type ModelSeries } from '../../tsdb/compact/testing/model-blocks.js';

/** Blocks as the replicas of an ingester cut them: the same samples in blocks of different names. */

export interface TenantBlock {
  readonly tenant: string;
  readonly series: readonly ModelSeries[];
}

const HOUR = 3_600_000;
const RANGE = 2 * HOUR;
const STEP = 120_000;
/** A multiple of two days. */
const BEGIN = 1_700_006_400_000 - (1_700_006_400_000 % (48 * HOUR));

/** Whole days of blocks of two hours, of each replica one. Each replica has one series more than the others. */
export function daysOf(tenant: string, days: number, replicas: number): TenantBlock[] {
  const blocks: TenantBlock[] = [];
  for (let range = 0; range < days * 12; range++) {
    for (let replica = 0; replica < replicas; replica++) {
      blocks.push({ tenant, series: seriesOf(tenant, range, replica) });
    }
  }
  return blocks;
}

function seriesOf(tenant: string, range: number, replica: number): ModelSeries[] {
  const from = BEGIN + range * RANGE;
  const samples = (phase: number) =>
    Array.from({ length: RANGE / STEP }, (_, i) => float(from + i * STEP, range * 60 + i + phase));
  return [
    ...['a', 'b', 'c', 'd'].map((pod, i) => ({
      labels: { __name__: 'requests_total', pod, team: tenant },
      samples: samples(i / 4),
    })),
    { labels: { __name__: 'seen_by', replica: String(replica) }, samples: samples(0.5) },
  ];
}

/** A small block of late samples: between those that are there, and of a series that nobody has seen. */
export function lateBlock(tenant: string, number: number): TenantBlock {
  const from = BEGIN + (number % 24) * RANGE + STEP / 2;
  const samples = Array.from({ length: 20 }, (_, i) => float(from + i * STEP, number * 1000 + i));
  return {
    tenant,
    series: [
      { labels: { __name__: 'requests_total', pod: 'a', team: tenant }, samples },
      { labels: { __name__: 'late', number: String(number) }, samples },
    ],
  };
}
