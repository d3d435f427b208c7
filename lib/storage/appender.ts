import type { FloatHistogram, IntegerHistogram } from '../histogram/index.js';
import type { ScanKernel } from '../kernel/index.js';

/**
 * The contract between the distributor, which knows requests, and the ingester, which knows series. In one process the
 * columns of the scanned request are handed over as they are.
 */

/** Decides about series that the ingester does not know. */
export interface SeriesAdmission {
  /**
   * Validates series i of the scanned request and returns its labels in canonical protobuf encoding, or null when it is
   * refused (the caller has noted why). May throw for a request that is malformed as a whole, before anything is stored.
   */
  admit(i: number): Uint8Array | null;
  /** Most series of this tenant, 0 for no limit. */
  readonly seriesMax: number;
  /** Told that series i was refused because of `seriesMax`. */
  refusedByLimit(i: number): void;
}

/** A native histogram of a scanned request. It was validated, and nobody changes it any more. */
export interface HistogramSample {
  /** Place of the series in the scanned request. */
  readonly seriesIndex: number;
  readonly timeMs: number;
  readonly histogram: IntegerHistogram | FloatHistogram;
}

/** One sample as an example in an error message. */
export interface SampleExample {
  readonly seriesIndex: number;
  readonly timeMs: number;
  readonly value: number;
  /** Set instead of the value for a native histogram. */
  readonly histogram?: IntegerHistogram | FloatHistogram;
}

export interface AppendReport {
  /** Float samples per SAMPLE_CODE. */
  readonly counts: Uint32Array;
  /** Native histograms per SAMPLE_CODE. */
  readonly histogramCounts: Uint32Array;
  /** The first sample of each SAMPLE_CODE that was not accepted, as far as there is one. */
  readonly examples: ReadonlyMap<number, SampleExample>;
  /** Resolves when what was accepted is durable; rejects with an `unavailable` error when it could not be made so. */
  readonly durable: Promise<void>;
}

export interface BatchAppender {
  /**
   * Appends a scanned request. Synchronous up to the returned report, so that the scan kernel is free for the next one.
   * @param histograms the request's native histograms, by ascending series index, in the order of the request
   * @param futureLimitMs samples later than this are refused
   * @throws VarveError unavailable when the tenant's head cannot take anything now
   */
  append(
    tenant: string,
    scan: ScanKernel,
    histograms: readonly HistogramSample[],
    futureLimitMs: number,
    admission: SeriesAdmission,
  ): AppendReport;
}
