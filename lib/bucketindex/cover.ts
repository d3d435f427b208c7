import type { BlockFacts, IndexedBlock, KnownBlock } from './bucket-index.js';

/** External labels that older programs put on every block and that say nothing about its series. */
const IGNORED_LABELS: ReadonlySet<string> = new Set(['__org_id__', '__ingester_id__']);

/** External labels without those that don't tell series apart, sorted by name. */
export function groupLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(labels)
      .filter(([name]) => !IGNORED_LABELS.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Equal for blocks that hold the same kind of data: resolution and external labels. */
export function groupKey(facts: BlockFacts): string {
  return `${facts.resolution}${JSON.stringify(groupLabels(facts.labels))}`;
}

/**
 * Finds blocks that hold nothing which another one does not hold as well: of the same group, with all their sources.
 * Of blocks with equal sources the highest level stays (a block written anew without deleted samples is one level
 * higher), then the oldest name.
 * @returns covered block to the block that covers it
 */
export function coveredBlocks(blocks: readonly KnownBlock[]): Map<string, string> {
  const ordered = [...blocks].sort(
    (a, b) =>
      b.facts.sources.length - a.facts.sources.length ||
      b.facts.level - a.facts.level ||
      (a.ulid < b.ulid ? -1 : 1),
  );
  /** Kept blocks by group and source. */
  const bySource = new Map<string, { readonly ulid: string; readonly sources: ReadonlySet<string> }[]>();
  const covered = new Map<string, string>();
  for (const { ulid, facts } of ordered) {
    const group = groupKey(facts);
    const candidates = bySource.get(group + facts.sources[0]) ?? [];
    const cover = candidates.find(({ sources }) => facts.sources.every((source) => sources.has(source)));
    if (cover !== undefined) {
      covered.set(ulid, cover.ulid);
      continue;
    }
    const kept = { ulid, sources: new Set(facts.sources) };
    for (const source of facts.sources) {
      const key = group + source;
      const others = bySource.get(key);
      if (others === undefined) bySource.set(key, [kept]);
      else others.push(kept);
    }
  }
  return covered;
}

/**
 * The blocks that a reader should look at: without those that were marked for deletion longer ago than `ignoreDelayMs`,
 * and without those that are covered by one that is not marked. All samples of the others are in them.
 */
export function visibleBlocks<Block extends IndexedBlock>(
  blocks: readonly Block[],
  deletionMarks: ReadonlyMap<string, number>,
  nowMs: number,
  ignoreDelayMs: number,
): Block[] {
  const unmarked = blocks.filter(({ ulid }) => !deletionMarks.has(ulid));
  const keepers = unmarked.filter((block): block is Block & KnownBlock => block.facts !== null);
  const covered = coveredBlocks(keepers);
  const cover = new Cover(keepers.filter(({ ulid }) => !covered.has(ulid)));
  return blocks.filter((block) => {
    const marked = deletionMarks.get(block.ulid);
    if (marked === undefined) return !covered.has(block.ulid);
    if (nowMs - marked * 1000 > ignoreDelayMs) return false;
    return block.facts === null || !cover.holds(block.facts);
  });
}

/** Answers whether one of several blocks has all sources of another. */
class Cover {
  readonly #bySource = new Map<string, ReadonlySet<string>[]>();

  constructor(blocks: readonly KnownBlock[]) {
    for (const { facts } of blocks) {
      const sources = new Set(facts.sources);
      for (const source of sources) {
        const key = groupKey(facts) + source;
        const sets = this.#bySource.get(key);
        if (sets === undefined) this.#bySource.set(key, [sources]);
        else sets.push(sources);
      }
    }
  }

  holds(facts: BlockFacts): boolean {
    const sets = this.#bySource.get(groupKey(facts) + facts.sources[0]) ?? [];
    return sets.some((sources) => facts.sources.every((source) => sources.has(source)));
  }
}
