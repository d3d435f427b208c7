/** What is to be known of a block to say which levels have its samples. */
export interface SharedBlock {
  readonly ulid: string;
  /** ms, the end exclusive. */
  readonly minTime: number;
  readonly maxTime: number;
  /** 0 when raw. */
  readonly resolution: number;
  /** Equal for blocks whose series are told apart by nothing but their own labels. */
  readonly group: string;
  /** `compaction.sources` of its meta.json. */
  readonly sources: readonly string[];
}

/** What a block has in common with blocks of other resolutions. */
export interface LevelShare {
  /** Levels that were made from it, from a part of it or from what it was made of. */
  readonly partOf: readonly number[];
  /** Levels that lack samples of it although they have blocks of its time: it came, or grew, after they were made. */
  readonly lateFor: readonly number[];
  /**
   * Of a downsampled block: whether finer blocks have all that it was made of, so that it has nothing to add to them.
   * Times that they don't reach are times without samples: blocks end with their last one.
   */
  readonly isRepeated: boolean;
}

/** The share of what no level was made from. It is added to levels in whose time it lies. */
export const NO_SHARE: LevelShare = { partOf: [], lateFor: [], isRepeated: false };

const REPEATED: LevelShare = { ...NO_SHARE, isRepeated: true };

/** The blocks of one group and resolution. */
interface Level {
  readonly resolution: number;
  readonly sources: ReadonlySet<string>;
  /** In order, none touching another. */
  readonly spans: readonly (readonly [fromMs: number, toMs: number])[];
}

/**
 * The shares of blocks, by name. To be asked about all blocks that readers are shown, so once for each state of a
 * bucket; equal shares are one object.
 */
export function sharesInLevels(blocks: readonly SharedBlock[]): ReadonlyMap<string, LevelShare> {
  const levels = new Map<string, Level[]>();
  for (const some of levelsOf(blocks).values()) {
    const { group, resolution } = some[0]!;
    const level = {
      resolution,
      sources: new Set(some.flatMap(({ sources }) => sources)),
      spans: spansOf(some),
    };
    const others = levels.get(group);
    if (others === undefined) levels.set(group, [level]);
    else others.push(level);
  }
  const known = new Map<string, LevelShare>();
  const shares = new Map<string, LevelShare>();
  for (const block of blocks) {
    if (block.resolution > 0) continue;
    const share = shareOf(block, levels.get(block.group) ?? []);
    const key = `${share.partOf}/${share.lateFor}`;
    const same = known.get(key) ?? share;
    known.set(key, same);
    shares.set(block.ulid, same);
  }
  for (const { ulid } of repeatedIn(blocks)) shares.set(ulid, REPEATED);
  return shares;
}

/** Downsampled blocks of which finer ones have every source. */
function repeatedIn(blocks: readonly SharedBlock[]): SharedBlock[] {
  const found: SharedBlock[] = [];
  /** Sources of all finer blocks, by group. */
  const finer = new Map<string, Set<string>>();
  const resolutions = [...new Set(blocks.map(({ resolution }) => resolution))].sort((a, b) => a - b);
  for (const resolution of resolutions) {
    const some = blocks.filter((block) => block.resolution === resolution);
    for (const block of some) {
      const known = finer.get(block.group);
      if (known !== undefined && resolution > 0 && block.sources.every((source) => known.has(source)))
        found.push(block);
    }
    for (const { group, sources } of some) {
      const known = finer.get(group) ?? new Set();
      finer.set(group, known);
      for (const source of sources) known.add(source);
    }
  }
  return found;
}

/** Downsampled blocks by group and resolution. */
function levelsOf(blocks: readonly SharedBlock[]): ReadonlyMap<string, readonly SharedBlock[]> {
  const levels = new Map<string, SharedBlock[]>();
  for (const block of blocks) {
    if (block.resolution === 0) continue;
    const key = `${block.resolution}${block.group}`;
    const level = levels.get(key);
    if (level === undefined) levels.set(key, [block]);
    else level.push(block);
  }
  return levels;
}

function shareOf({ minTime, maxTime, sources }: SharedBlock, levels: readonly Level[]): LevelShare {
  const partOf: number[] = [];
  const lateFor: number[] = [];
  for (const { resolution, sources: known, spans } of levels) {
    const isPart = sources.some((source) => known.has(source));
    if (isPart) partOf.push(resolution);
    if (isPart && sources.every((source) => known.has(source))) continue;
    // What is unknown of a block that goes beyond the level may lie there.
    const isLate = isPart
      ? spans.some(([from, to]) => from <= minTime && maxTime <= to)
      : spans.some(([from, to]) => from < maxTime && minTime < to);
    if (isLate) lateFor.push(resolution);
  }
  return { partOf, lateFor, isRepeated: false };
}

function spansOf(blocks: readonly SharedBlock[]): [number, number][] {
  const spans: [number, number][] = [];
  for (const { minTime, maxTime } of [...blocks].sort((a, b) => a.minTime - b.minTime)) {
    const last = spans.at(-1);
    if (last !== undefined && minTime <= last[1]) last[1] = Math.max(last[1], maxTime);
    else spans.push([minTime, maxTime]);
  }
  return spans;
}
