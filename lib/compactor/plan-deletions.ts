import {
  type DeletionRule,
  groupLabels,
  type KnownBlock,
  type MarkKind,
  openRules,
  rulesOfSpan,
} from '../bucketindex/index.js';
import { coarserResolution } from '../tsdb/downsample/index.js';
import type { TenantDeletions } from './deletion-keeper.js';
import type { Job } from './job.js';

/**
 * Plans which blocks are to be written anew without deleted samples: those that a rule concerns which was not applied to
 * them yet, and that nothing else is going to replace at once. A downsampled block is made anew of the finer level where
 * that is still there, after its turn; else the windows that the deletion touches are cut out of it.
 * @param blocks of one group, all resolutions
 * @param busy blocks that jobs merge, or that others may still be added to
 */
export function planRewrites(
  blocks: readonly KnownBlock[],
  { rules, checked }: TenantDeletions,
  busy: ReadonlySet<string>,
  marked: Readonly<Record<MarkKind, ReadonlySet<string>>>,
): Job[] {
  if (rules.length === 0) return [];
  const open = new Map<string, readonly DeletionRule[]>();
  for (const block of blocks) {
    const found = openRules(rules, block, checked);
    if (found.length > 0) open.set(block.ulid, found);
  }
  const jobs: Job[] = [];
  for (const block of blocks) {
    const { ulid, minTime, maxTime, facts } = block;
    const blockRules = open.get(ulid);
    if (blockRules === undefined || busy.has(ulid) || marked['no-compact'].has(ulid)) continue;
    let finer = finerBlocks(block, blocks, marked['no-downsample']);
    if (finer.some((one) => open.has(one.ulid))) {
      if (!finer.some((one) => marked['no-compact'].has(one.ulid))) continue;
      // Those are never going to be without it.
      finer = [];
    }
    jobs.push({
      key: `rewrite-${ulid}`,
      kind: 'rewrite',
      resolution: facts.resolution,
      labels: groupLabels(facts.labels),
      rangeStart: minTime,
      rangeEnd: maxTime,
      blocks: [block],
      rules: blockRules,
      applied: rulesOfSpan(rules, minTime, maxTime).map(({ key }) => key),
      finer,
    });
  }
  return jobs;
}

/** The blocks of the next finer level that a downsampled block could be made of; none when some are gone. */
function finerBlocks(
  block: KnownBlock,
  blocks: readonly KnownBlock[],
  excluded: ReadonlySet<string>,
): readonly KnownBlock[] {
  const sources = new Set(block.facts.sources);
  const finer = blocks.filter(
    ({ ulid, facts }) =>
      coarserResolution(facts.resolution) === block.facts.resolution &&
      !excluded.has(ulid) &&
      facts.sources.every((source) => sources.has(source)),
  );
  const found = new Set(finer.flatMap(({ facts }) => facts.sources));
  const isApart = finer.every((a, i) =>
    finer.slice(i + 1).every((b) => a.maxTime <= b.minTime || b.maxTime <= a.minTime),
  );
  return found.size === sources.size && isApart ? finer : [];
}

/** Adds to a job of several blocks what the result is to be without, or is known to be without. */
export function withDeletions(job: Job, { rules, checked }: TenantDeletions): Job {
  if (rules.length === 0) return job;
  const minTime = Math.min(...job.blocks.map((block) => block.minTime));
  const maxTime = Math.max(...job.blocks.map((block) => block.maxTime));
  const concerned = rulesOfSpan(rules, minTime, maxTime);
  const isOpen = (rule: (typeof rules)[number]) =>
    job.blocks.some((block) => openRules([rule], block, checked).length > 0);
  const open = concerned.filter(isOpen);
  // Downsampling leaves nothing out: what its sources hold is in the result.
  if (job.kind === 'downsample') {
    return { ...job, applied: concerned.filter((rule) => !open.includes(rule)).map(({ key }) => key) };
  }
  return { ...job, rules: open, applied: concerned.map(({ key }) => key) };
}
