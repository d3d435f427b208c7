/**
 * Placement of shards on ingesters, simulated: balance, what moves when one comes, goes or a zone is lost, memory and
 * time to compute. Nothing is sent or stored; the placement is the one that runs. `--quick` leaves the large ones out.
 */
import { SeededPrng } from '../../lib/prng/index.js';
import { type PlacedMember, type Placement, placeShards } from '../../lib/ring/index.js';

const ZONES = 3;
const REPLICAS = 3;

interface Case {
  readonly ingesters: number;
  readonly series: number;
  readonly shardCount: number;
}

const K = 1000;
const M = 1_000_000;
const SMALL: readonly Case[] = [
  { ingesters: 3, series: M, shardCount: 4096 },
  { ingesters: 6, series: M, shardCount: 4096 },
  { ingesters: 12, series: 3 * M, shardCount: 4096 },
  { ingesters: 30, series: 10 * M, shardCount: 4096 },
  { ingesters: 99, series: 10 * M, shardCount: 4096 },
];
const LARGE: readonly Case[] = [
  { ingesters: 300, series: 30 * M, shardCount: 4096 },
  { ingesters: 300, series: 30 * M, shardCount: 65_536 },
  { ingesters: 999, series: 100 * M, shardCount: 4096 },
  { ingesters: 999, series: 100 * M, shardCount: 65_536 },
  { ingesters: 9999, series: 100 * M, shardCount: 4096 },
  { ingesters: 9999, series: 100 * M, shardCount: 65_536 },
];

function ingesters(count: number, from = 0): PlacedMember[] {
  return Array.from({ length: count }, (_, i) => {
    const zone = `zone-${(from + i) % ZONES}`;
    return { id: `ingester-${zone}-${Math.floor((from + i) / ZONES)}`, zone };
  });
}

/** Fewest milliseconds of some computations of a placement. */
function timeOf(members: readonly PlacedMember[], shardCount: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const started = performance.now();
    placeShards(members, { shardCount });
    best = Math.min(best, performance.now() - started);
  }
  return best;
}

/** Replicas on a member that did not hold them before. */
function countMoved(before: Placement, after: Placement): number {
  let moved = 0;
  for (let shard = 0; shard < before.options.shardCount; shard++) {
    const old = new Set(before.replicasOf(shard).map(({ id }) => id));
    for (const { id } of after.replicasOf(shard)) if (!old.has(id)) moved++;
  }
  return moved;
}

/** Series of random hashes fall on shards; the most that one member then has, as a multiple of the mean. */
function seriesImbalance(placement: Placement, series: number): number {
  const prng = new SeededPrng(7);
  const perShard = new Uint32Array(placement.options.shardCount);
  const shift = 32 - Math.log2(placement.options.shardCount);
  for (let i = 0; i < series; i++) perShard[prng.nextU32() >>> shift]!++;
  const perMember = new Float64Array(placement.members.length);
  for (let shard = 0; shard < perShard.length; shard++) {
    for (let replica = 0; replica < placement.replicas; replica++) {
      perMember[placement.memberIndex(shard, replica)]! += perShard[shard]!;
    }
  }
  return Math.max(...perMember) / ((series * placement.replicas) / placement.members.length);
}

function runCase({ ingesters: count, series, shardCount }: Case): readonly string[] {
  const members = ingesters(count);
  const placement = placeShards(members, { shardCount });
  const slots = shardCount * REPLICAS;
  const loads = placement.loads();
  const moves = (after: readonly PlacedMember[], share: number) => {
    const moved = countMoved(placement, placeShards(after, { shardCount }));
    return `${((100 * moved) / slots).toFixed(2)} % (${(moved / slots / share).toFixed(2)}×)`;
  };
  // Zones hold equally much, so a newcomer takes its part of one zone.
  const added = moves([...members, ...ingesters(1, count)], 1 / (count + ZONES));
  const removed = count > ZONES ? moves(members.slice(1), 1 / count) : '–';
  const down = placement.withSubstitutes(({ zone }) => zone !== 'zone-0');
  const kept = countMoved(placement, down);
  const mean = slots / count;
  return [
    String(count),
    `${series / M} M`,
    String(shardCount),
    mean.toFixed(1),
    `${(Math.min(...loads) / mean).toFixed(3)}–${(Math.max(...loads) / mean).toFixed(3)}`,
    seriesImbalance(placement, series).toFixed(3),
    added,
    removed,
    String(kept),
    `${(placement.byteCount / K).toFixed(0)} kB`,
    `${timeOf(members, shardCount).toFixed(1)} ms`,
  ];
}

const HEAD = [
  'ingesters',
  'series',
  'shards',
  'replicas each, mean',
  'least–most / mean',
  'series, most / mean',
  'one added: moved (× its share)',
  'one removed: moved (× its share)',
  'zone lost: moved',
  'memory',
  'to compute',
];

const cases = process.argv.includes('--quick') ? SMALL : [...SMALL, ...LARGE];
process.stdout.write(`| ${HEAD.join(' | ')} |\n|${HEAD.map(() => ' --- |').join('')}\n`);
for (const one of cases) process.stdout.write(`| ${runCase(one).join(' | ')} |\n`);
