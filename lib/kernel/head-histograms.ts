/**
 * The histogram chunks of a head: encoded elsewhere, kept and published by the kernel (assembly/head/histograms.ts). Only
 * the thread that writes the head may use it.
 */

export interface HistogramExports {
  histogramJudge(ref: number, timeMs: number, futureLimitMs: number): number;
  histogramAppend(
    ref: number,
    kind: number,
    mode: number,
    timeMs: number,
    from: number,
    address: number,
    length: number,
  ): number;
  histogramAppendLate(ref: number, kind: number, timeMs: number, address: number, length: number): number;
  readonly firstStale: { readonly value: number };
}

/** Kinds of chunks of histograms, as numbered in assembly/head/layout.ts. */
const CHUNK_KIND_HISTOGRAM = 3;
const CHUNK_KIND_FLOAT_HISTOGRAM = 4;
export const HISTOGRAM_KIND = {
  integers: CHUNK_KIND_HISTOGRAM,
  floats: CHUNK_KIND_FLOAT_HISTOGRAM,
} as const;
export type HistogramKind = (typeof HISTOGRAM_KIND)[keyof typeof HISTOGRAM_KIND];

/** What the bytes of an appended sample are to the newest chunk of its series. */
export const CHUNK_CHANGE = {
  /** They follow its first bytes. */
  extended: 0,
  /** They begin the next chunk. */
  opened: 1,
  /** They replace all of it. */
  rewritten: 2,
} as const;
export type ChunkChange = (typeof CHUNK_CHANGE)[keyof typeof CHUNK_CHANGE];

const NONE = 0xffffffff;

/** What the histograms borrow from the head that they are part of. */
export interface HistogramHost {
  readonly exports: HistogramExports;
  /** Copies bytes into scratch memory and returns the address. */
  readonly put: (bytes: Uint8Array) => number;
  readonly outOfMemory: () => Error;
}

export class HeadHistograms {
  readonly #host: HistogramHost;

  constructor(host: HistogramHost) {
    this.#host = host;
  }

  /**
   * The SAMPLE_CODE of a histogram by its time alone, nothing is stored. `duplicate` means that the newest sample is a
   * histogram of this time: the caller has to compare the two.
   */
  judge(ref: number, timeMs: number, futureLimitMs: number): number {
    return this.#host.exports.histogramJudge(ref, timeMs, futureLimitMs);
  }

  /**
   * Stores the bytes that one more sample brings to the chunks of a series. It is later than all in-order samples.
   * @param from where in the chunk the bytes stand; the bits before the sample in the first of them are as they were
   * @throws VarveError unavailable `head-memory-full`; nothing has changed then
   */
  append(
    ref: number,
    kind: HistogramKind,
    change: ChunkChange,
    timeMs: number,
    from: number,
    bytes: Uint8Array,
  ): void {
    const { exports, put, outOfMemory } = this.#host;
    if (exports.histogramAppend(ref, kind, change, timeMs, from, put(bytes), bytes.length) === 0)
      throw outOfMemory();
  }

  /**
   * Stores a late histogram.
   * @param chunk a chunk of this one sample
   * @returns its SAMPLE_CODE: acceptedOutOfOrder, duplicate, newValue
   * @throws VarveError unavailable `head-memory-full`
   */
  appendLate(ref: number, kind: HistogramKind, timeMs: number, chunk: Uint8Array): number {
    const { exports, put, outOfMemory } = this.#host;
    const code = exports.histogramAppendLate(ref, kind, timeMs, put(chunk), chunk.length);
    if (code < 0) throw outOfMemory();
    return code;
  }

  /** Index of the first stale marker of the last batch that has to become a histogram, or null. */
  get firstStale(): number | null {
    const first = this.#host.exports.firstStale.value >>> 0;
    return first === NONE ? null : first;
  }
}
