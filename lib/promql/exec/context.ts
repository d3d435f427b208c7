import { VarveError } from '../../errors/index.js';
import type { QueryKernel } from '../../kernel/index.js';
import type { Grid, LeafTimes } from '../plan/index.js';
import type { Annotations } from './annotations.js';
import { type LabelColumns, labelIdOf } from './label-columns.js';
import type { LoadedSet } from './loaded-set.js';
import type { ParallelSession } from './parallel-session.js';
import type { SymbolSpace } from './symbol-space.js';

/** What the engine may switch on beyond plain PromQL. */
export interface Features {
  readonly delayedNameRemoval: boolean;
  readonly typeAndUnitLabels: boolean;
  readonly startTimestamps: boolean;
}

export interface QueryLimits {
  readonly samplesMax: number;
  readonly isCancelled: () => boolean;
  /** Monotonic clock, ms. */
  readonly deadlineMs: number;
}

// Elements of a block of rows. Small enough to stay in the cache from the leaf to the aggregation, large enough to make
// calls into the kernel rare.
const BLOCK_ELEMENTS = 8192;
const POLL_INTERVAL_MS = 2;

/** Samples counted so far, or by a part of the query. */
export interface SampleCount {
  readonly total: number;
  /** By step; null when steps are not told apart. */
  readonly steps: Float64Array | null;
}

/** Everything one running query shares: memory, symbols, notes, limits and counters. */
export class QueryContext {
  readonly kernel: QueryKernel;
  readonly space: SymbolSpace;
  readonly annotations: Annotations;
  readonly features: Features;
  readonly sets: LoadedSet[] = [];
  /** Where leaves find other threads that help; null when the query runs on one. */
  parallel: ParallelSession | null = null;
  totalSamples = 0;
  /** The same for each step of a query of several; null unless asked for. */
  stepSamples: Float64Array | null = null;
  peakSamples = 0;
  /**
   * Who could do without some rows of its input reads them still: some source makes notes while it is read, or all
   * samples are to be counted as upstream does.
   */
  readsAllRows = false;
  private readonly limits: QueryLimits;
  private heldSamples = 0;
  private lastPollMs = 0;
  private columnSamples = 0;
  private windowSteps = 0;
  /** Address of the f64 work area beside the columns. */
  workAddress = 0;
  private windowAddress = 0;

  constructor(
    kernel: QueryKernel,
    space: SymbolSpace,
    annotations: Annotations,
    features: Features,
    limits: QueryLimits,
  ) {
    this.kernel = kernel;
    this.space = space;
    this.annotations = annotations;
    this.features = features;
    this.limits = limits;
  }

  /** Rows per block for rows of this many steps. */
  blockRows(steps: number): number {
    return Math.max(1, Math.floor(BLOCK_ELEMENTS / Math.max(1, steps)));
  }

  /** Gives the kernel columns for at least this many samples per series. */
  ensureColumns(samples: number): void {
    if (samples <= this.columnSamples) return;
    const capacity = Math.max(1024, samples + (samples >>> 2));
    this.columnSamples = 0;
    const address = this.kernel.reserve(capacity * 36);
    this.workAddress = this.kernel.reserve(capacity * 8);
    this.kernel.functions.queryColumns(address, capacity);
    this.columnSamples = capacity;
  }

  /** Sets the kernel's steps: reference of step k is `referenceMs + k * stepMs`. */
  setSteps(referenceMs: number, stepMs: number, steps: number): void {
    this.kernel.functions.querySteps(this.windowsFor(steps), referenceMs, stepMs, steps);
  }

  /** Address of the windows of so many steps; the area is used again and again. */
  windowsFor(steps: number): number {
    if (steps > this.windowSteps) {
      this.windowAddress = this.kernel.reserve(steps * 8);
      this.windowSteps = steps;
    }
    return this.windowAddress;
  }

  /**
   * Counts samples that the query holds from now on.
   * @throws VarveError limit `query-samples-limit`
   */
  hold(samples: number): void {
    this.heldSamples += samples;
    if (this.heldSamples > this.peakSamples) this.peakSamples = this.heldSamples;
    if (this.heldSamples > this.limits.samplesMax) {
      throw new VarveError(
        'limit',
        'query-samples-limit',
        `query processing would load too many samples into memory in query execution (query.max_samples: ${this.limits.samplesMax})`,
        { details: { samplesMax: this.limits.samplesMax } },
      );
    }
  }

  /** Counts samples that a leaf read, once for each step that shares them. */
  countSamples(samples: number, { sampleWeight }: LeafTimes): void {
    this.totalSamples += samples * sampleWeight;
    const { stepSamples } = this;
    if (stepSamples === null || sampleWeight < 2) return;
    for (let k = 0; k < stepSamples.length; k++) stepSamples[k]! += samples;
  }

  /**
   * Where a leaf adds up what it reads at each of its steps, beside `countSamples`. null when it need not: nobody asked,
   * its samples don't count, or all steps share them.
   */
  stepCounts({ sampleWeight }: LeafTimes): Float64Array | null {
    return sampleWeight === 1 ? this.stepSamples : null;
  }

  /** What has been counted up to now. */
  sampleCount(): SampleCount {
    return { total: this.totalSamples, steps: this.stepSamples?.slice() ?? null };
  }

  /** What has been counted since. */
  samplesSince(before: SampleCount): SampleCount {
    const steps = this.stepSamples?.map((count, k) => count - before.steps![k]!) ?? null;
    return { total: this.totalSamples - before.total, steps };
  }

  /** Counts samples once more. */
  recount({ total, steps }: SampleCount): void {
    this.totalSamples += total;
    steps?.forEach((count, k) => {
      this.stepSamples![k]! += count;
    });
  }

  /** The metric name of a label set, '' when it has none. */
  metricName(labels: LabelColumns, i: number): string {
    const id = labelIdOf(labels, i, this.space.find('__name__'));
    return id < 0 ? '' : this.space.text(id);
  }

  get held(): number {
    return this.heldSamples;
  }

  /** Back to an earlier number of held samples: an operator let its input go. */
  settle(samples: number): void {
    this.heldSamples = samples;
  }

  /**
   * To be called between pieces of work; looks at the clock and the cancellation flag.
   * @throws VarveError timeout `query-timeout`, cancelled `query-cancelled`
   */
  poll(): void {
    const now = performance.now();
    if (now - this.lastPollMs < POLL_INTERVAL_MS) return;
    this.lastPollMs = now;
    if (this.limits.isCancelled()) {
      throw new VarveError('cancelled', 'query-cancelled', 'query was canceled in expression evaluation');
    }
    if (now > this.limits.deadlineMs) {
      throw new VarveError('timeout', 'query-timeout', 'query timed out in expression evaluation');
    }
  }
}

/** An execution error, as Prometheus words it. */
export function executionError(text: string): VarveError {
  return new VarveError('client', 'promql-execution', text);
}

export function sameLabelsetError(): VarveError {
  return executionError('vector cannot contain metrics with the same labelset');
}

/** Evaluation time of step k. */
export function timeOf(grid: Grid, k: number): number {
  return grid.startMs + k * grid.stepMs;
}
