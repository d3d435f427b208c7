import type { QueryContext } from './context.js';
import type { LoadedSet } from './loaded-set.js';
import { type SharedJob, SLOTS_MAX } from './parallel-layout.js';
import type { ParallelSession } from './parallel-session.js';
import { computeUnit } from './parallel-unit.js';
import type { Block } from './source.js';

/** Samples that a leaf must have to decode; fewer are done before a helper has woken. */
const SAMPLES_MIN = 100_000;
/** Samples and steps of a unit: some 0.3 ms of work. */
const UNIT_SAMPLES = 32_768;
/** Blocks in the ring, if units are few. */
const RING_BLOCKS_MAX = 8;
/** After so long without news of a unit that a helper works on, its thread is taken for dead or stopped. */
const STUCK_MS = 200;
const WAIT_MS = 2;

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

/** Told of each unit when it is read: points found, samples visited, result code of the kernel. */
export type Account = (code: number, found: number, visited: number) => void;

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
 * order, computes what nobody has begun, and waits only for what somebody works on. So the rows, and everything that is
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
  private readonly block: Block = { rows: 0, present: 0, histograms: null };
  /** The block in hand, -1 before the first, and the row up to which it was read. */
  private current = -1;
  private readTo = 0;
  private isGivenUp = false;

  /** null when the leaf is too small, nobody can help, or memory is short. */
  static open(
    context: QueryContext,
    loaded: LoadedSet,
    work: LeafWork,
    account: Account,
  ): ParallelLeaf | null {
    const session = context.parallel;
    const { seriesCount } = loaded.set;
    if (session === null || session.helpers === 0 || work.samples * seriesCount < SAMPLES_MIN) return null;
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
    const { blockRows, blockUnits, ringUnits } = this.division;
    if (this.isGivenUp) return null;
    const wanted = Math.floor(from / blockRows);
    if (to > (wanted + 1) * blockRows) return null;
    if (wanted === this.current) {
      if (from < this.readTo) return null;
    } else if (wanted !== this.current + 1 || !this.advance()) return null;
    this.readTo = to;
    const row = (wanted % (ringUnits / blockUnits)) * blockRows + from - wanted * blockRows;
    this.block.rows = this.job.field('ringRows') + row * this.steps * 8;
    this.block.present = this.job.field('ringPresent') + row * this.steps;
    return this.block;
  }

  /** Goes to the next block; false when a helper is stuck on it. */
  private advance(): boolean {
    const { blockUnits, ringUnits, units } = this.division;
    const first = (this.current + 1) * blockUnits;
    if (this.current >= 0) {
      // What lies behind may be overwritten from here on.
      this.job.setLimit(Math.min(units, first + ringUnits));
      this.session.ring();
    }
    const rows = Math.min(this.seriesCount, (this.current + 2) * this.division.blockRows);
    const end =
      first + Math.ceil((rows - (this.current + 1) * this.division.blockRows) / this.division.unitRows);
    for (let unit = first; unit < end; unit++) {
      if (!this.await(unit)) {
        this.isGivenUp = true;
        return false;
      }
    }
    for (let unit = first; unit < end; unit++) {
      this.account(this.job.code(unit), this.job.found(unit), this.job.visited(unit));
    }
    this.current++;
    return true;
  }

  /** Does what is to do until a unit is there; false when its helper is stuck. */
  private await(unit: number): boolean {
    const { job, context } = this;
    const { words } = job;
    const slot = job.slotOf(unit);
    let waitingSinceMs = -1;
    for (;;) {
      const state = Atomics.load(words, slot);
      if (state === unit + 1) return true;
      const claimed = state === -(unit + 1) ? unit : job.claim();
      if (claimed >= 0) {
        this.compute(claimed);
        waitingSinceMs = -1;
        continue;
      }
      const nowMs = performance.now();
      if (waitingSinceMs < 0) waitingSinceMs = nowMs;
      else if (nowMs - waitingSinceMs > STUCK_MS) return false;
      Atomics.wait(words, slot, state, WAIT_MS);
      context.poll();
    }
  }

  private compute(unit: number): void {
    const { context, job } = this;
    const areas = { work: context.workAddress, windows: context.windowsFor(this.steps) };
    computeUnit(context.kernel.functions, job, unit, areas, () => {
      context.poll();
      return true;
    });
    job.settle(unit, true);
    context.poll();
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
