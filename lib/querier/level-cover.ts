import { type LevelShare, RESOLUTION, RESOLUTIONS } from '../tsdb/downsample/index.js';
import {
  ceilTo,
  floorTo,
  intersect,
  overlaps,
  type Span,
  type Spans,
  subtract,
  subtractAll,
  unite,
} from './level-spans.js';

/**
 * Which blocks to read for a span of time when there are several resolutions of it, and what of each, so that no time is
 * left out that any of them has, and none is read twice.
 *
 *     1d   |-------------------|-------------------|
 *     1h   |-------------------|---------|
 *     raw                           |----------------------|
 *     read  1h 1h 1h 1h 1h 1h 1h 1h 1h 1h raw raw raw raw raw      at 1h
 *     read  1d 1d 1d 1d 1d 1d 1d 1d raw raw raw raw raw raw raw    raw, of which the begin of the second day is missing
 *
 * A window of a level stands for all its time or is not read at all. So a level that is preferred takes what its blocks
 * have, the next ones whole windows of what is left, and raw blocks the rest. Time that is left then lies in windows
 * which somebody else has parts of: those windows are read and the parts are not. Blocks end with their last sample, so
 * that there is time between them that nobody has anything of; wider blocks whose samples the finer ones have all don't
 * count there.
 */

/** What is to be known of a block, or of anything else that holds samples, to choose. */
export interface CoverSource {
  readonly minTimeMs: number;
  /** Exclusive; Infinity where more keeps coming. */
  readonly maxTimeMs: number;
  /** Width of the windows, 0 when raw. */
  readonly resolutionMs: number;
  /** Sources of different groups hold different series. */
  readonly group: string;
  /** What levels have of it; null for what keeps coming, which they have nothing of. */
  readonly share: LevelShare | null;
}

/** A source and what to read of it. */
export interface CoverRead<Source> extends Span {
  readonly source: Source;
}

interface Block<Source> extends Span {
  readonly source: Source;
  readonly resolutionMs: number;
  /** Whether it has nothing that finer blocks don't have. */
  readonly isRepeated: boolean;
  /** What may be read of it without missing samples that came late and are there raw. */
  readonly usable: Spans;
}

interface Piece<Source> extends Span {
  readonly block: Block<Source>;
}

/** The blocks of a tenant that a query may read. Made once for a query, asked for each selector. */
export class LevelCover<Source extends CoverSource> {
  readonly #groups: readonly GroupCover<Source>[];
  /** Times of coarser blocks only, by their resolution. */
  readonly #hidden: ReadonlyMap<number, Spans>;
  /** Resolutions that there are blocks of, finest first. */
  readonly resolutions: readonly number[];

  /** @param maxResolutionMs coarser ones are left out */
  constructor(sources: readonly Source[], maxResolutionMs: number) {
    const allowed = sources.filter(({ resolutionMs }) => resolutionMs <= maxResolutionMs);
    const groups = new Map<string, Source[]>();
    for (const source of allowed) {
      const group = groups.get(source.group);
      if (group === undefined) groups.set(source.group, [source]);
      else group.push(source);
    }
    const shown = unite(allowed.map(spanOf));
    this.#hidden = new Map(
      RESOLUTIONS.filter((ms) => ms > maxResolutionMs).map((ms) => [
        ms,
        subtractAll(unite(sources.filter(({ resolutionMs }) => resolutionMs === ms).map(spanOf)), shown),
      ]),
    );
    this.#groups = [...groups.values()].map((group) => new GroupCover(group));
    this.resolutions = RESOLUTIONS.filter((ms) => allowed.some(({ resolutionMs }) => resolutionMs === ms));
  }

  /** Resolutions of blocks that were left out and of which nothing finer is there between the times (inclusive). */
  hidden(minTimeMs: number, maxTimeMs: number): number[] {
    const asked = { fromMs: minTimeMs, toMs: maxTimeMs + 1 };
    return [...this.#hidden].filter(([, spans]) => intersect(spans, asked).length > 0).map(([ms]) => ms);
  }

  /**
   * What to read to have all samples between the times (inclusive).
   * @param wantedMs the resolution preferred; then finer ones, then coarser ones
   * @param withLate whether raw samples that came too late for a level, and are all there is of raw, are read beside it
   */
  reads(minTimeMs: number, maxTimeMs: number, wantedMs: number, withLate: boolean): CoverRead<Source>[] {
    const asked = { fromMs: minTimeMs, toMs: maxTimeMs + 1 };
    return this.#groups.flatMap((group) => group.reads(asked, wantedMs, withLate));
  }
}

class GroupCover<Source extends CoverSource> {
  readonly #raw: readonly Source[];
  readonly #levels: readonly Block<Source>[];
  /** Times at which raw blocks have all that there is. */
  readonly #rawCover: Spans;
  /** Raw sources that the levels have nothing of, by resolution. */
  readonly #besides: ReadonlyMap<number, readonly Source[]>;

  constructor(sources: readonly Source[]) {
    this.#raw = sources.filter(({ resolutionMs }) => resolutionMs === 0);
    const levels = sources.filter(({ resolutionMs }) => resolutionMs > 0);
    const levelSpans = unite(levels.map(spanOf));
    this.#rawCover = unite(
      this.#raw.flatMap((raw) =>
        (raw.share?.partOf.length ?? 0) > 0 ? [spanOf(raw)] : subtractAll([spanOf(raw)], levelSpans),
      ),
    );
    const resolutions = [...new Set(levels.map(({ resolutionMs }) => resolutionMs))];
    this.#besides = new Map(
      resolutions.map((ms) => [ms, this.#raw.filter(({ share }) => share?.partOf.includes(ms) !== true)]),
    );
    const late = new Map(
      resolutions.map((ms) => [
        ms,
        unite(this.#raw.filter(({ share }) => share?.lateFor.includes(ms) === true).map(spanOf)),
      ]),
    );
    this.#levels = levels.map((source) => {
      const span = this.#whole(source, levels);
      const isRepeated = source.share?.isRepeated === true;
      const usable = this.#usable(source, span, late);
      return { ...span, source, resolutionMs: source.resolutionMs, isRepeated, usable };
    });
  }

  reads(asked: Span, wantedMs: number, withLate: boolean): CoverRead<Source>[] {
    // Windows of any width that the times lie in.
    const around = {
      fromMs: floorTo(asked.fromMs, RESOLUTION.day),
      toMs: ceilTo(asked.toMs, RESOLUTION.day),
    };
    const levels = this.#levels.filter((block) => overlaps(block, around));
    if (levels.length === 0) {
      return this.#raw.filter((raw) => overlaps(spanOf(raw), asked)).map((source) => readOf(source));
    }
    const cover = new Assignment<Source>(around);
    const finer = RESOLUTIONS.filter((ms) => ms > 0 && ms <= wantedMs).reverse();
    const coarser = RESOLUTIONS.filter((ms) => ms > wantedMs && ms > 0);
    for (const ms of finer) {
      for (const block of levels) if (block.resolutionMs === ms) cover.take(block);
    }
    cover.takeRaw(this.#rawCover);
    for (const ms of [...finer, ...coarser]) {
      for (const block of levels) if (block.resolutionMs === ms) cover.fill(block, asked);
    }
    const reads: CoverRead<Source>[] = [];
    for (const { block, ...span } of cover.pieces()) {
      if (!overlaps(span, asked)) continue;
      reads.push({ ...span, source: block.source });
      if (!withLate) continue;
      for (const raw of this.#besides.get(block.resolutionMs)!) this.#readRaw(raw, [span], asked, reads);
    }
    if (cover.raw.length > 0) {
      for (const raw of this.#raw) {
        if (overlaps(spanOf(raw), asked)) this.#readRaw(raw, cover.raw, asked, reads);
      }
    }
    return reads;
  }

  #readRaw(source: Source, spans: Spans, asked: Span, reads: CoverRead<Source>[]): void {
    for (const span of intersect(spans, spanOf(source))) {
      if (overlaps(span, asked)) reads.push({ ...span, source });
    }
  }

  #usable(source: Source, span: Span, late: ReadonlyMap<number, Spans>): Spans {
    const { resolutionMs } = source;
    const better = intersect(late.get(resolutionMs)!, span).flatMap((one) => intersect(this.#rawCover, one));
    return better.reduce<Spans>(
      (left, { fromMs, toMs }) =>
        subtract(left, { fromMs: floorTo(fromMs, resolutionMs), toMs: ceilTo(toMs, resolutionMs) }),
      [span],
    );
  }

  /** The span of a level block, without a begun window at an end where blocks of a finer level have the whole of it. */
  #whole(source: Source, levels: readonly Source[]): Span {
    const { resolutionMs } = source;
    let { fromMs, toMs } = spanOf(source);
    const begin = ceilTo(fromMs, resolutionMs);
    const end = floorTo(toMs, resolutionMs);
    if (begin >= end || (begin === fromMs && end === toMs)) return { fromMs, toMs };
    for (const { resolutionMs: otherMs, minTimeMs, maxTimeMs } of levels) {
      if (otherMs >= resolutionMs) continue;
      if (minTimeMs < fromMs && maxTimeMs >= begin) fromMs = begin;
      if (maxTimeMs > toMs && minTimeMs <= end) toMs = end;
    }
    return { fromMs, toMs };
  }
}

/** Who has which time, while it is being given away. */
class Assignment<Source> {
  #left: Spans;
  #pieces: Piece<Source>[] = [];
  raw: Spans = [];

  constructor(all: Span) {
    this.#left = [all];
  }

  /** Gives a block what is left of its time, in whole windows. */
  take(block: Block<Source>): void {
    for (const usable of block.usable) {
      for (const span of intersect(this.#left, usable)) this.#give(block, wholeWindows(span, block));
    }
  }

  takeRaw(cover: Spans): void {
    this.raw = unite(cover.flatMap((span) => intersect(this.#left, span)));
    this.#left = subtractAll(this.#left, this.raw);
  }

  /** Gives a block all windows that have some time left inside the times asked for, whoever has the rest of them. */
  fill(block: Block<Source>, asked: Span): void {
    if (block.isRepeated) return;
    const unit = block.resolutionMs;
    const wanted = {
      fromMs: Math.max(block.fromMs, floorTo(asked.fromMs, unit)),
      toMs: Math.min(block.toMs, asked.toMs),
    };
    for (const gap of intersect(this.#left, wanted)) {
      const fromMs = Math.max(block.fromMs, floorTo(gap.fromMs, unit));
      const toMs = Math.min(block.toMs, ceilTo(gap.toMs, unit));
      const span = { fromMs, toMs };
      // Windows of other widths that this one would cut through: there is no way to read both parts.
      const others = this.#pieces.filter((piece) => overlaps(piece, span));
      if (others.some((piece) => piece.block.resolutionMs > unit)) continue;
      this.#pieces = this.#pieces.flatMap((piece) =>
        subtract([piece], span)
          .map((rest) => wholeWindows(rest, piece.block))
          .filter((rest) => rest.fromMs < rest.toMs)
          .map((rest) => ({ ...rest, block: piece.block })),
      );
      this.raw = subtract(this.raw, span);
      this.#give(block, span);
    }
  }

  /** What blocks of levels have, neighbours of one block joined. */
  pieces(): readonly Piece<Source>[] {
    const byBlock = new Map<Block<Source>, Span[]>();
    for (const piece of this.#pieces) {
      const spans = byBlock.get(piece.block);
      if (spans === undefined) byBlock.set(piece.block, [piece]);
      else spans.push(piece);
    }
    return [...byBlock].flatMap(([block, spans]) =>
      unite(spans).map(({ fromMs, toMs }) => ({ fromMs, toMs, block })),
    );
  }

  #give(block: Block<Source>, span: Span): void {
    if (span.fromMs >= span.toMs) return;
    this.#pieces.push({ ...span, block });
    this.#left = subtract(this.#left, span);
  }
}

/** The windows that lie wholly inside a span; at the block's own ends they are as they are. */
function wholeWindows({ fromMs, toMs }: Span, block: Block<unknown>): Span {
  return {
    fromMs: fromMs === block.fromMs ? fromMs : ceilTo(fromMs, block.resolutionMs),
    toMs: toMs === block.toMs ? toMs : floorTo(toMs, block.resolutionMs),
  };
}

function spanOf({ minTimeMs, maxTimeMs }: CoverSource): Span {
  return { fromMs: minTimeMs, toMs: maxTimeMs };
}

function readOf<Source extends CoverSource>(source: Source): CoverRead<Source> {
  return { ...spanOf(source), source };
}
