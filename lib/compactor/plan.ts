import {
  coveredBlocks,
  groupKey,
  groupLabels,
  type KnownBlock,
  type MarkKind,
  sortBlocks,
} from '../bucketindex/index.js';
import type { TenantDeletions } from './deletion-keeper.js';
import { type Blocked, type Job, jobKey, splitByRange } from './job.js';
import { planRewrites, withDeletions } from './plan-deletions.js';
import { type DownsampleSpans, planDownsampling, type RawRange } from './plan-downsampling.js';

/**
 * What a tenant's blocks should become. Pure: blocks and a time in, jobs out.
 *
 * Raw blocks of one group (external labels) are merged within aligned time ranges, by default 2h, 12h and 24h. A range
 * is merged when it is complete: when so much time has passed since its end that no more blocks are to be expected, and
 * the last of its blocks that came from an ingester is old enough that the other replicas' have come too. The largest
 * complete range is taken at once, with all that lies in it, overlapping or not. What comes later anyway makes the
 * range two blocks again, and they are merged anew. A block that fits in no range (another program's) is left as it is.
 *
 * A range of the largest size that is complete and needs no merging is final, and its coarser resolutions are made.
 * What is to be deleted is left out by merging; blocks that are not merged are written anew without it.
 */
export interface PlanOptions {
  /** Aligned ranges in ms, ascending, each a multiple of the one before. */
  readonly rangesMs: readonly number[];
  /** How long after its upload a block from an ingester is left alone, ms. */
  readonly firstLevelWaitMs: number;
  /** How much later than its time a sample may come, ms. */
  readonly lateMs: number;
  /** Null when nothing is to be downsampled. */
  readonly downsampling: DownsampleSpans | null;
}

export interface PlanInput {
  readonly blocks: readonly KnownBlock[];
  /** Blocks that carry a mark of each kind. */
  readonly marked: Readonly<Record<MarkKind, ReadonlySet<string>>>;
  readonly nowMs: number;
  /** What is to be deleted of the samples; absent for nothing. */
  readonly deletions?: TenantDeletions;
}

export interface Plan {
  /** Oldest first; merging before downsampling. */
  readonly jobs: readonly Job[];
  /** Unmarked blocks that are not needed any more, with the block that holds all of theirs. */
  readonly covered: ReadonlyMap<string, string>;
  readonly blocked: readonly Blocked[];
}

export function planTenant(input: PlanInput, options: PlanOptions): Plan {
  const unmarked = input.blocks.filter(({ ulid }) => !input.marked.deletion.has(ulid));
  const covered = coveredBlocks(unmarked);
  const needed = sortBlocks(unmarked.filter(({ ulid }) => !covered.has(ulid)));
  const deletions = input.deletions ?? { rules: [], checked: new Map() };
  const jobs: Job[] = [];
  const blocked: Blocked[] = [];
  for (const group of groupsOf(needed)) {
    const raw = group.filter(({ facts }) => facts.resolution === 0);
    const compactions: Job[] = [];
    const ranges = planCompactions(raw, input, options, compactions);
    const busy = new Set(compactions.flatMap((job) => job.blocks.map(({ ulid }) => ulid)));
    for (const block of raw) if (isYoung(block, input.nowMs, options)) busy.add(block.ulid);
    const rewrites = planRewrites(group, deletions, busy, input.marked);
    jobs.push(...compactions.map((job) => withDeletions(job, deletions)), ...rewrites);
    if (options.downsampling === null) continue;
    const found = planDownsampling(group, ranges, options.downsampling, {
      excluded: input.marked['no-downsample'],
      changing: new Set(rewrites.flatMap((job) => job.blocks.map(({ ulid }) => ulid))),
      readyMs: input.nowMs - completeAfter(options),
      largestMs: options.rangesMs.at(-1)!,
    });
    jobs.push(...found.jobs.map((job) => withDeletions(job, deletions)));
    blocked.push(...found.blocked);
  }
  jobs.sort((a, b) => rankOf(a) - rankOf(b) || a.rangeStart - b.rangeStart || (a.key < b.key ? -1 : 1));
  return { jobs, covered, blocked };
}

/** How long after its end a range may be taken as complete. */
function completeAfter(options: PlanOptions): number {
  return options.rangesMs[0]! + options.lateMs;
}

function rankOf(job: Job): number {
  if (job.kind === 'compact') return 0;
  return job.kind === 'rewrite' ? 1 : 2 + job.resolution;
}

/** Blocks by external labels, of all resolutions. */
function groupsOf(blocks: readonly KnownBlock[]): KnownBlock[][] {
  const groups = new Map<string, KnownBlock[]>();
  for (const block of blocks) {
    const key = groupKey({ ...block.facts, resolution: 0 });
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [block]);
    else group.push(block);
  }
  return [...groups.values()];
}

function planCompactions(
  raw: readonly KnownBlock[],
  { marked, nowMs }: PlanInput,
  options: PlanOptions,
  jobs: Job[],
): RawRange[] {
  const { rangesMs } = options;
  const largest = rangesMs.at(-1)!;
  const ranges: RawRange[] = [];
  const isExpecting = (end: number) => nowMs < end + completeAfter(options);

  /** Plans a range or its parts; says whether there is nothing to do or to wait for. */
  const planRange = (blocks: readonly KnownBlock[], start: number, size: number): boolean => {
    const mergeable = blocks.filter(({ ulid }) => !marked['no-compact'].has(ulid));
    const range = rangesMs[size]!;
    const end = start + range;
    const isComplete = size === 0 ? nowMs >= end : !isExpecting(end);
    if (isComplete) {
      if (blocks.some((block) => isYoung(block, nowMs, options))) return false;
      if (mergeable.length < 2) return true;
      jobs.push(compactJob(mergeable, start, end, largest));
      return false;
    }
    if (size > 0) {
      for (const [from, part] of splitByRange(mergeable, rangesMs[size - 1]!).fitting) {
        planRange(part, from, size - 1);
      }
    }
    return false;
  };

  const { fitting, unfit } = splitByRange(raw, largest);
  for (const [start, blocks] of fitting) {
    const isFinal = planRange(blocks, start, rangesMs.length - 1);
    ranges.push({ start, end: start + largest, blocks, isFinal });
  }
  for (const block of unfit) {
    const isFinal = !isExpecting(block.maxTime) && !isYoung(block, nowMs, options);
    ranges.push({ start: block.minTime, end: block.maxTime, blocks: [block], isFinal });
  }
  return ranges;
}

/** Whether blocks of other replicas may come that belong to it. */
function isYoung({ facts, uploadedAtMs }: KnownBlock, nowMs: number, options: PlanOptions): boolean {
  return facts.level <= 1 && nowMs - uploadedAtMs < options.firstLevelWaitMs;
}

function compactJob(
  blocks: readonly KnownBlock[],
  rangeStart: number,
  rangeEnd: number,
  largest: number,
): Job {
  const labels = groupLabels(blocks[0]!.facts.labels);
  // Jobs for parts of one largest range exclude each other.
  const place = Math.floor(rangeStart / largest) * largest;
  const key = jobKey('compact', 0, labels, place, place + largest);
  return {
    ...{ key, kind: 'compact', resolution: 0, labels, rangeStart, rangeEnd, blocks },
    ...{ rules: [], applied: [], finer: [] },
  };
}
