import { EMPTY_LAYOUT, FloatHistogram, IntegerHistogram } from '../../histogram/index.js';
import {
  CHUNK_CHANGE,
  type HeadKernel,
  HISTOGRAM_KIND,
  type HistogramKind,
  SAMPLE_CODE,
} from '../../kernel/index.js';
import { HistogramAppender } from '../chunk/index.js';
import { HeadMemory } from './head-memory.js';

// When a chunk ends: as in Prometheus' head (spec: chunks.md §9), so that blocks come out alike.
const TARGET_BYTES = 1024;
const SAMPLES_MIN = 10;
const STALE_SUM = 0x7ff0_0000_0000_0002n;

type AnyHistogram = IntegerHistogram | FloatHistogram;

/** What goes on with the newest chunk of a series. All of it can be made again from the chunk. */
interface OpenChunk {
  readonly kind: HistogramKind;
  readonly appender: HistogramAppender<AnyHistogram>;
  /** As of the last stored sample. */
  startCount: number;
  byteLength: number;
  firstMs: number;
  lastMs: number;
  /** The chunk ends before this. */
  nextAtMs: number;
  /** Whether `nextAtMs` was worked out. As there, a chunk that the appender begins leaves it at that: it may fill up. */
  isPlanned: boolean;
}

/**
 * Appends native histograms to a head. Encodes them on the ingest thread; the bytes go into the head's memory sample by
 * sample, where readers find them beside the chunks of floats.
 *
 * What an open chunk needs to go on is kept in ordinary memory, some KiB per series, while samples come in, and made again
 * from the chunk when a series has been idle.
 */
export class HistogramWriter {
  readonly #kernel: HeadKernel;
  readonly #memory: HeadMemory;
  readonly #rangeMs: number;
  readonly #open = new Map<number, OpenChunk>();
  /** Where the search for idle series goes on. */
  #idle: MapIterator<[number, OpenChunk]> | null = null;

  /** @param rangeMs length of a block, to whose borders chunks are cut */
  constructor(kernel: HeadKernel, rangeMs: number) {
    this.#kernel = kernel;
    this.#memory = new HeadMemory(kernel.memory);
    this.#rangeMs = rangeMs;
  }

  /** Series whose state is kept. */
  get openCount(): number {
    return this.#open.size;
  }

  /**
   * Appends a sample by the rules that hold for floats.
   * @param futureLimitMs samples later than this are refused
   * @returns its SAMPLE_CODE
   * @throws VarveError unavailable `head-memory-full`
   */
  append(ref: number, timeMs: number, histogram: AnyHistogram, futureLimitMs: number): number {
    const code = this.#kernel.histograms.judge(ref, timeMs, futureLimitMs);
    if (code === SAMPLE_CODE.accepted) this.#appendInOrder(ref, timeMs, histogram);
    else if (code === SAMPLE_CODE.acceptedOutOfOrder) return this.#appendLate(ref, timeMs, histogram);
    else if (code === SAMPLE_CODE.duplicate && !this.#isNewest(ref, histogram)) return SAMPLE_CODE.newValue;
    return code;
  }

  /** The stale marker for a series whose newest sample is a histogram: it is of the same kind. */
  staleMarker(ref: number): AnyHistogram {
    const series = this.#memory.seriesAddress(ref);
    return staleOf(this.#openChunk(ref, series)?.kind ?? HISTOGRAM_KIND.integers);
  }

  /** Takes a sample of the log, which says what was accepted in which order. */
  replay(ref: number, timeMs: number, histogram: AnyHistogram): void {
    const lastMs = this.#memory.lastTimeMs(this.#memory.seriesAddress(ref));
    if (timeMs > lastMs) this.#appendInOrder(ref, timeMs, histogram);
    else if (timeMs < lastMs) this.#appendLate(ref, timeMs, histogram);
  }

  /**
   * Forgets the state of series that are gone or had no sample since a time.
   * @param untilMs works until `performance.now()` says so, and goes on at the next call
   * @returns whether it came to the end
   */
  dropIdle(beforeMs: number, untilMs: number): boolean {
    this.#idle ??= this.#open.entries();
    for (let seen = 1; ; seen++) {
      const { done, value } = this.#idle.next();
      if (done === true) break;
      const [ref, open] = value;
      if (open.lastMs < beforeMs || !this.#memory.isKnown(ref)) this.#open.delete(ref);
      if (seen % 64 === 0 && performance.now() > untilMs) return false;
    }
    this.#idle = null;
    return true;
  }

  #appendInOrder(ref: number, timeMs: number, histogram: AnyHistogram): void {
    const memory = this.#memory;
    const series = memory.seriesAddress(ref);
    const kind = kindOf(histogram);
    let open = this.#openChunk(ref, series);
    if (open === null || open.kind !== kind) {
      open = newState(kind, appenderOf(kind));
      this.#open.set(ref, open);
    } else if (memory.isSealed(series) || this.#isFull(open, timeMs)) {
      open.appender.cut();
      open.isPlanned = false;
    }
    const { appender } = open;
    appender.append(timeMs, histogram);
    const isExtended = appender.startCount === open.startCount;
    const isFirst = appender.sampleCount === 1;
    const change = isExtended
      ? CHUNK_CHANGE.extended
      : isFirst
        ? CHUNK_CHANGE.opened
        : CHUNK_CHANGE.rewritten;
    // The new bits may begin inside the last byte.
    const from = isExtended ? open.byteLength - 1 : 0;
    try {
      this.#kernel.histograms.append(ref, kind, change, timeMs, from, appender.bytesFrom(from));
    } catch (thrown) {
      // The appender holds a sample that was not stored.
      this.#open.delete(ref);
      throw thrown;
    }
    open.startCount = appender.startCount;
    open.byteLength = appender.byteLength;
    open.lastMs = timeMs;
    if (isFirst) this.#begin(open, timeMs);
  }

  #begin(open: OpenChunk, firstMs: number): void {
    open.firstMs = firstMs;
    open.nextAtMs = this.#rangeEnd(firstMs);
  }

  #rangeEnd(timeMs: number): number {
    return (Math.floor(timeMs / this.#rangeMs) + 1) * this.#rangeMs;
  }

  /** Whether the next sample is to begin a new chunk. */
  #isFull(open: OpenChunk, timeMs: number): boolean {
    const { byteLength, firstMs, lastMs } = open;
    const rangeEndMs = this.#rangeEnd(firstMs);
    if (!open.isPlanned && byteLength >= TARGET_BYTES / 4) {
      // Spread the samples that the range will bring evenly: a chunk shall not end up with a handful.
      const spanMs = open.nextAtMs - firstMs;
      const parts = Math.floor((spanMs * byteLength) / ((lastMs - firstMs + 1) * TARGET_BYTES));
      if (parts > 1) open.nextAtMs = Math.trunc(firstMs + spanMs / parts);
      open.isPlanned = true;
    }
    const isEnd = timeMs >= open.nextAtMs || byteLength >= TARGET_BYTES * 2;
    return isEnd && (open.appender.sampleCount >= SAMPLES_MIN || timeMs >= rangeEndMs);
  }

  #appendLate(ref: number, timeMs: number, histogram: AnyHistogram): number {
    const kind = kindOf(histogram);
    const appender = appenderOf(kind);
    appender.append(timeMs, histogram);
    return this.#kernel.histograms.appendLate(ref, kind, timeMs, appender.chunk()!);
  }

  /** Whether a histogram is the newest sample of its series. */
  #isNewest(ref: number, histogram: AnyHistogram): boolean {
    const open = this.#openChunk(ref, this.#memory.seriesAddress(ref));
    // With the chunk gone into a block nobody can tell: it is taken for the same.
    return open === null || (open.kind === kindOf(histogram) && open.appender.isLast(histogram));
  }

  /** The state of a series whose newest sample is a histogram; null when it is not, or the chunk has left the head. */
  #openChunk(ref: number, series: number): OpenChunk | null {
    const memory = this.#memory;
    const known = this.#open.get(ref);
    if (!memory.endsInHistogram(series)) return null;
    const lastMs = memory.lastTimeMs(series);
    if (known?.lastMs === lastMs) return known;
    const chunk = memory.newestChunk(series);
    if (chunk === 0) return null;
    const encoding = memory.chunkEncoding(chunk);
    const bytes = memory.payload(chunk, memory.chunkSampleCount(chunk));
    const kind = memory.chunkKind(chunk) as HistogramKind;
    const open = newState(kind, HistogramAppender.resumed(encoding, bytes));
    open.startCount = open.appender.startCount;
    open.byteLength = bytes.length;
    open.lastMs = lastMs;
    this.#begin(open, memory.chunkMinTime(chunk));
    this.#open.set(ref, open);
    return open;
  }
}

function kindOf(histogram: AnyHistogram): HistogramKind {
  return histogram instanceof FloatHistogram ? HISTOGRAM_KIND.floats : HISTOGRAM_KIND.integers;
}

function appenderOf(kind: HistogramKind): HistogramAppender<AnyHistogram> {
  return kind === HISTOGRAM_KIND.floats ? HistogramAppender.floats() : HistogramAppender.integers();
}

function newState(kind: HistogramKind, appender: HistogramAppender<AnyHistogram>): OpenChunk {
  return {
    kind,
    appender,
    startCount: 0,
    byteLength: 0,
    firstMs: 0,
    lastMs: Number.NEGATIVE_INFINITY,
    nextAtMs: 0,
    isPlanned: false,
  };
}

function staleOf(kind: HistogramKind): AnyHistogram {
  const integers = BigInt64Array.of(0n, 0n, STALE_SUM);
  return kind === HISTOGRAM_KIND.floats
    ? new FloatHistogram(EMPTY_LAYOUT, new Float64Array(integers.buffer))
    : new IntegerHistogram(EMPTY_LAYOUT, integers);
}
