import type { QueryContext } from './context.js';
import type { LoadedSet } from './loaded-set.js';
import { type SharedJob, SLOTS_MAX, type UnitResult } from './parallel-layout.js';
import type { ParallelSession } from './parallel-session.js';
import { computeUnit, placeOf, type UnitPlace } from './parallel-unit.js';
import { type Block, reserveBlock } from './source.js';

/** Samples that a leaf must have to decode; fewer are done before a helper has woken. */
const SAMPLES_MIN = 100_000;
/** Samples that its longest series must have: with one or two, finding the series takes longer than decoding them. */
const SERIES_SAMPLES_MIN = 4;
/** Samples and steps of a unit: some 0.3 ms of work. */
const UNIT_SAMPLES = 32_768;
/** Blocks in the ring, if units are few. */
const RING_BLOCKS_MAX = 8;
/**
 * How long a unit may take somebody else once there is nothing else to do, in times of our own slowest one, and at
 * least. After that its thread has probably lost its core, and the unit is computed here as well.
 */
const PATIENCE = 2;
const PATIENCE_MS_MIN = 1;

/** What a leaf computes beside its chunk table; addresses and times as the kernel takes them, see `FIELD`. */
export interface LeafWork {
  readonly isRange: boolean;
  readonly fn: number;
  readonly form: number;
  readonly range: number;
  readonly lookback: number;
  readonly reference: number;
  readonly referenceStep: number;
  readonly start: number;
  readonly step: number;
  /** Addresses of the arguments. */
  readonly args: readonly number[];
  readonly steps: number;
  readonly callRows: number;
  readonly callSteps: number;
  /** Samples of the longest series, which the columns have to hold. */
  readonly samples: number;
}

/** Told of each unit, in their order, when it is read. */
export type Account = (result: UnitResult) => void;

/** How the rows are divided. */
interface Division {
  readonly blockRows: number;
  readonly unitRows: number;
  readonly blockUnits: number;
  readonly ringUnits: number;
  /** Units of all rows. */
  readonly units: number;
}

/**
 * The rows of a leaf, computed by several threads: whoever is free takes the next unit. The reader takes them in their
 * order, computes what nobody has begun, and hardly waits for what somebody works on. So the rows, and everything that is
 * counted, are the same as if one thread had made them.
 */
export class ParallelLeaf {
  private readonly context: QueryContext;
  private readonly session: ParallelSession;
  private readonly job: SharedJob;
  private readonly account: Account;
  private readonly division: Division;
  private readonly steps: number;
  private readonly seriesCount: number;
  private readonly view: Block = { rows: 0, present: 0, histograms: null };
  /** The block in hand, its number (-1 before the first), and the row up to which it was read. */
  private block: Block = this.view;
  private current = -1;
  private readTo = 0;
  /** All units before this one are settled: nobody writes into their slots. */
  private settledTo = 0;
  private slowestMs = 0;
  /** Where a block is put together that has a unit nobody should wait for. */
  private spare: Block | null = null;

  /** null when the leaf is too small, nobody can help, or memory is short. */
  static open(
    context: QueryContext,
    loaded: LoadedSet,
    work: LeafWork,
    account: Account,
  ): ParallelLeaf | null {
    const session = context.parallel;
    const { seriesCount } = loaded.set;
    if (session === null || session.helpers === 0) return null;
    if (work.samples < SERIES_SAMPLES_MIN || work.samples * seriesCount < SAMPLES_MIN) return null;
    const division = divide(seriesCount, context.blockRows(work.steps), work);
    const bytes = areaBytesOf(work) * session.helpers + ringElementsOf(division, work.steps) * 9;
    if (division.units < 3 || bytes > context.kernel.freeBytes / 8) return null;
    const job = session.openJob();
    if (job === null) return null;
    return new ParallelLeaf(context, session, job, loaded, work, division, account);
  }

  private constructor(
    context: QueryContext,
    session: ParallelSession,
    job: SharedJob,
    loaded: LoadedSet,
    work: LeafWork,
    division: Division,
    account: Account,
  ) {
    this.context = context;
    this.session = session;
    this.job = job;
    this.account = account;
    this.division = division;
    this.steps = work.steps;
    this.seriesCount = loaded.set.seriesCount;
    const { kernel } = context;
    const areaBytes = areaBytesOf(work);
    const columns = kernel.reserve(areaBytes * session.helpers);
    const ringElements = ringElementsOf(division, work.steps);
    const { chunkOffsets, chunkAddresses, chunkLengths, chunkMinTimes, chunkMaxTimes } = loaded;
    const { fn, form, range, lookback, reference, referenceStep, start, step } = work;
    const { blockRows, unitRows, blockUnits, ringUnits } = division;
    job.begin(
      {
        isRange: work.isRange ? 1 : 0,
        ...{ fn, form, range, lookback, reference, referenceStep, start, step },
        ...{ chunkOffsets, chunkAddresses, chunkLengths, chunkMinTimes, chunkMaxTimes },
        minTime: loaded.spec.hints.minTimeMs,
        maxTime: loaded.spec.hints.maxTimeMs,
        argument1: work.args[0] ?? 0,
        argument2: work.args[1] ?? 0,
        steps: work.steps,
        series: this.seriesCount,
        ...{ blockRows, unitRows, blockUnits, ringUnits },
        callRows: work.callRows,
        callSteps: work.callSteps,
        ringRows: kernel.reserve(ringElements * 8),
        ringPresent: kernel.reserve(ringElements),
        columns,
        columnSamples: columnSamplesOf(work),
        work: columns + columnBytesOf(work),
        windows: columns + columnBytesOf(work) + columnSamplesOf(work) * 8,
        areaBytes,
      },
      Math.min(division.units, ringUnits),
    );
    session.publishJob();
  }

  /**
   * Rows [from, to), or null when the reader has to compute them itself: blocks are read forwards only, each row once,
   * and never across the end of one.
   */
  read(from: number, to: number): Block | null {
    const { blockRows } = this.division;
    const wanted = Math.floor(from / blockRows);
    if (to > (wanted + 1) * blockRows) return null;
    if (wanted === this.current) {
      if (from < this.readTo) return null;
    } else if (wanted !== this.current + 1) return null;
    else this.advance();
    this.readTo = to;
    const at = (from - wanted * blockRows) * this.steps;
    this.view.rows = this.block.rows + at * 8;
    this.view.present = this.block.present + at;
    return this.view;
  }

  /** Goes to the next block. */
  private advance(): void {
    const { job } = this;
    const { blockUnits, ringUnits, units } = this.division;
    const first = (this.current + 1) * blockUnits;
    const end = Math.min(units, first + blockUnits);
    if (this.current >= 0) {
      // What lies behind may be overwritten from here on, unless somebody still writes there.
      while (this.settledTo < first && job.isSettled(this.settledTo)) this.settledTo++;
      job.setLimit(Math.min(units, this.settledTo + ringUnits));
      this.session.ring();
    }
    const { rows, present } = placeOf(job, first);
    this.block = { rows, present, histograms: null };
    this.current++;
    for (let unit = first; unit < end; unit++) {
      if (!this.await(unit)) {
        this.assemble(first, unit, end);
        return;
      }
    }
    for (let unit = first; unit < end; unit++) this.account(job.resultOf(unit));
  }

  /** Does what there is to do until a unit is done; false when it takes somebody else too long. */
  private await(unit: number): boolean {
    const { job } = this;
    const { words } = job;
    const slot = job.slotOf(unit);
    let untilMs = -1;
    for (;;) {
      const state = Atomics.load(words, slot);
      if (state === unit + 1) return true;
      const claimed = state === -(unit + 1) ? unit : job.claim();
      if (claimed >= 0) {
        job.settle(claimed, this.compute(placeOf(job, claimed)));
        continue;
      }
      // The ring may be blocked by a unit behind us that somebody still works on.
      if (!job.isClaimed(unit)) return false;
      const nowMs = performance.now();
      if (untilMs < 0) untilMs = nowMs + Math.max(PATIENCE_MS_MIN, PATIENCE * this.slowestMs);
      const leftMs = untilMs - nowMs;
      if (leftMs <= 0) return false;
      Atomics.wait(words, slot, state, leftMs);
      this.context.poll();
    }
  }

  /** Puts a block together outside the ring: what is done is copied, what is not is computed. */
  private assemble(first: number, missing: number, end: number): void {
    const { job, context, steps } = this;
    this.spare ??= reserveBlock(context, this.division.blockRows, steps);
    const { kernel } = context;
    for (let unit = first; unit < end; unit++) {
      const place = placeOf(job, unit);
      const { from, to } = place;
      const at = (from - this.current * this.division.blockRows) * steps;
      const rows = this.spare.rows + at * 8;
      const present = this.spare.present + at;
      const isDone = unit !== missing && Atomics.load(job.words, job.slotOf(unit)) === unit + 1;
      if (isDone) {
        const elements = (to - from) * steps;
        kernel.u8.copyWithin(rows, place.rows, place.rows + elements * 8);
        kernel.u8.copyWithin(present, place.present, place.present + elements);
        this.account(job.resultOf(unit));
      } else this.account(this.compute({ from, to, rows, present }));
    }
    this.block = this.spare;
  }

  private compute(place: UnitPlace): UnitResult {
    const { context, job } = this;
    const areas = { work: context.workAddress, windows: context.windowsFor(this.steps) };
    const begunMs = performance.now();
    const result = computeUnit(context.kernel.functions, job, place, areas, () => {
      context.poll();
      return true;
    });
    context.poll();
    this.slowestMs = Math.max(this.slowestMs, performance.now() - begunMs);
    return result!;
  }
}

function divide(seriesCount: number, blockRows: number, work: LeafWork): Division {
  const { samples, steps, callRows } = work;
  const blocks = Math.ceil(seriesCount / blockRows);
  const rows = Math.min(blockRows, callRows, Math.max(1, Math.floor(UNIT_SAMPLES / (samples + steps))));
  const unitRows = Math.ceil(blockRows / Math.min(SLOTS_MAX / 2, Math.ceil(blockRows / rows)));
  // Counted again after rounding: a unit without rows would be nobody's to wait for.
  const blockUnits = Math.ceil(blockRows / unitRows);
  const ringBlocks = Math.min(blocks, RING_BLOCKS_MAX, Math.floor(SLOTS_MAX / blockUnits));
  const lastUnits = Math.ceil((seriesCount - (blocks - 1) * blockRows) / unitRows);
  const units = (blocks - 1) * blockUnits + lastUnits;
  return { blockRows, unitRows, blockUnits, ringUnits: ringBlocks * blockUnits, units };
}

function ringElementsOf({ ringUnits, blockUnits, blockRows }: Division, steps: number): number {
  return (ringUnits / blockUnits) * blockRows * steps;
}

function columnSamplesOf({ samples }: LeafWork): number {
  return Math.max(64, samples);
}

/** Four columns of floats and one of 32-bit positions. */
function columnBytesOf(work: LeafWork): number {
  return aligned(columnSamplesOf(work) * 36);
}

/** Columns, work area, and both bounds of the windows of one helper. */
function areaBytesOf(work: LeafWork): number {
  return columnBytesOf(work) + columnSamplesOf(work) * 8 + aligned(work.steps * 8);
}

/** A multiple of 64: helpers do not share lines of the cache. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
