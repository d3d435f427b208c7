import { groupLabels, type KnownBlock } from '../bucketindex/index.js';
import { RESOLUTION } from '../tsdb/downsample/index.js';
import { type Blocked, type Job, jobKey, splitByRange } from './job.js';

/** Aligned spans that one block of a resolution covers, ms. Blocks of 5 minutes have the largest range of raw ones. */
export interface DownsampleSpans {
  readonly hourMs: number;
  readonly dayMs: number;
}

/** Raw blocks of one group, in ranges of the largest size. */
export interface RawRange {
  readonly start: number;
  readonly end: number;
  readonly blocks: readonly KnownBlock[];
  /** Nothing is expected to come and nothing is to be merged. */
  readonly isFinal: boolean;
}

interface Circumstances {
  /** Blocks that are not to be downsampled. */
  readonly excluded: ReadonlySet<string>;
  /** Blocks that are about to be replaced. */
  readonly changing: ReadonlySet<string>;
  /** Spans that end before this, ms, are complete. */
  readonly readyMs: number;
  /** Largest range of raw blocks. */
  readonly largestMs: number;
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly blocks: readonly KnownBlock[];
}

/**
 * Plans the coarser resolutions of one group: 5 minutes from each final range of raw blocks, an hour from several of
 * those, a day from several of hours. Until a span is over its parts are downsampled one by one (for an hour each range of
 * raw blocks, for a day each span of hours), so that queries over it need not read finer blocks; then the whole is made of
 * the finer blocks again, and covers the parts. A span is downsampled when its blocks have a source that no block of the target
 * resolution has; when something came late, the whole span is made anew, so that the result covers the earlier one.
 * That needs all its blocks to be there still: otherwise only what overlaps nothing is added.
 */
export function planDownsampling(
  group: readonly KnownBlock[],
  ranges: readonly RawRange[],
  spans: DownsampleSpans,
  circumstances: Circumstances,
): { readonly jobs: readonly Job[]; readonly blocked: readonly Blocked[] } {
  const { excluded, changing, readyMs, largestMs } = circumstances;
  const isChanging = (span: Span) => span.blocks.some(({ ulid }) => changing.has(ulid));
  const jobs: Job[] = [];
  const blocked: Blocked[] = [];
  const ofResolution = (resolution: number) => group.filter(({ facts }) => facts.resolution === resolution);
  const plan = (span: Span, resolution: number, targets: readonly KnownBlock[]): boolean => {
    const found = planSpan(span, resolution, targets);
    if (found === null) return false;
    if ('reason' in found) {
      // Nothing will change that, so what is coarser need not wait for it.
      blocked.push(found);
      return false;
    }
    jobs.push(found);
    return true;
  };

  /** Where the finer blocks are not what they will be. */
  let unsettled: Span[] = [];
  const fiveMinutes = ofResolution(RESOLUTION.fiveMinutes);
  for (const range of ranges) {
    const blocks = range.blocks.filter(({ ulid }) => !excluded.has(ulid));
    const span = { ...range, blocks };
    const isReady = range.isFinal && !isChanging(span);
    if (!isReady || plan(span, RESOLUTION.fiveMinutes, fiveMinutes)) unsettled.push(span);
  }
  const steps = [
    { finer: RESOLUTION.fiveMinutes, coarser: RESOLUTION.hour, spanMs: spans.hourMs, partMs: largestMs },
    { finer: RESOLUTION.hour, coarser: RESOLUTION.day, spanMs: spans.dayMs, partMs: spans.hourMs },
  ];
  for (const { finer, coarser, spanMs, partMs } of steps) {
    const finerBlocks = ofResolution(finer).filter(({ ulid }) => !excluded.has(ulid));
    const targets = ofResolution(coarser);
    const waiting: Span[] = [];
    const isSettled = (span: Span) => !isChanging(span) && !unsettled.some((other) => overlaps(span, other));
    for (const span of spansOf(finerBlocks, spanMs)) {
      const isReady = span.end <= readyMs && isSettled(span);
      if (!isReady || plan(span, coarser, targets)) waiting.push(span);
      if (span.end <= readyMs) continue;
      for (const part of spansOf(span.blocks, partMs)) {
        if (part.end <= readyMs && isSettled(part)) plan(part, coarser, targets);
      }
    }
    // What waits at this level keeps the next one waiting too.
    unsettled = [...unsettled, ...waiting];
  }
  return { jobs, blocked };
}

/** Aligned spans with their blocks; a block that fits in none is one of its own. */
function spansOf(blocks: readonly KnownBlock[], spanMs: number): Span[] {
  const { fitting, unfit } = splitByRange(blocks, spanMs);
  return [
    ...[...fitting].map(([start, inside]) => ({ start, end: start + spanMs, blocks: inside })),
    ...unfit.map((block) => ({ start: block.minTime, end: block.maxTime, blocks: [block] })),
  ];
}

/** Null when the span has its block of that resolution already, or has nothing to make one of. */
function planSpan(span: Span, resolution: number, targets: readonly KnownBlock[]): Job | Blocked | null {
  const covered = new Set(targets.flatMap(({ facts }) => facts.sources));
  const isMissing = (block: KnownBlock) => block.facts.sources.some((source) => !covered.has(source));
  const missing = span.blocks.filter(isMissing);
  const place = { resolution, rangeStart: span.start, rangeEnd: span.end };
  const sources = new Set(span.blocks.flatMap(({ facts }) => facts.sources));
  const earlier = targets.filter((target) => target.facts.sources.some((source) => sources.has(source)));
  const isWhole = earlier.every(({ facts }) => facts.sources.every((source) => sources.has(source)));
  // One block of it all, or parts that can't be made one any more: some of what they were made of is gone.
  if (missing.length === 0 && (earlier.length <= 1 || !isWhole)) return null;
  const blocks = isWhole ? span.blocks : missing;
  if (!isWhole && missing.some((block) => targets.some((target) => overlapsInTime(block, target)))) {
    return { ...place, reason: 'late samples whose neighbours of the finer resolution are gone' };
  }
  if (blocks.some((block, i) => blocks.slice(i + 1).some((other) => overlapsInTime(block, other)))) {
    return { ...place, reason: 'blocks that overlap and must not be merged' };
  }
  const labels = groupLabels(blocks[0]!.facts.labels);
  const key = jobKey('downsample', resolution, labels, span.start, span.end);
  return { ...place, key, kind: 'downsample', labels, blocks, rules: [], applied: [], finer: [] };
}

function overlaps(a: Span, b: Span): boolean {
  return a.start < b.end && b.start < a.end;
}

function overlapsInTime(a: KnownBlock, b: KnownBlock): boolean {
  return a.minTime < b.maxTime && b.minTime < a.maxTime;
}
