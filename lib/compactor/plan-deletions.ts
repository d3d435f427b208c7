import { groupLabels, type KnownBlock, openRules, rulesOfSpan } from '../bucketindex/index.js';
import type { TenantDeletions } from './deletion-keeper.js';
import type { Job } from './job.js';

/**
 * Plans which blocks are to be written anew without deleted samples: those that a rule concerns which was not applied to
 * them yet, and that nothing else is going to replace at once.
 * @param blocks of one group, all resolutions @param busy blocks that jobs merge, or that others may still be added to
 * @param excluded blocks that are to be left as they are
 */
export function planRewrites(
  blocks: readonly KnownBlock[],
  { rules, checked }: TenantDeletions,
  busy: ReadonlySet<string>,
  excluded: ReadonlySet<string>,
): Job[] {
  if (rules.length === 0) return [];
  const jobs: Job[] = [];
  for (const block of blocks) {
    if (busy.has(block.ulid) || excluded.has(block.ulid)) continue;
    const open = openRules(rules, block, checked);
    if (open.length === 0) continue;
    const { minTime, maxTime, facts } = block;
    jobs.push({
      key: `rewrite-${block.ulid}`,
      kind: 'rewrite',
      resolution: facts.resolution,
      labels: groupLabels(facts.labels),
      rangeStart: minTime,
      rangeEnd: maxTime,
      blocks: [block],
      rules: open,
      applied: rulesOfSpan(rules, minTime, maxTime).map(({ key }) => key),
    });
  }
  return jobs;
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
