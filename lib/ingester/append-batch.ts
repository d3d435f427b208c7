import type { FloatHistogram, IntegerHistogram } from '../histogram/index.js';
import { type AppendOutcome, type HeadKernel, SAMPLE_CODE, type ScanKernel } from '../kernel/index.js';
import type { AppendReport, HistogramSample, SampleExample, SeriesAdmission } from '../storage/index.js';
import type { Head } from '../tsdb/head/index.js';
import { HistogramRecords, histogramRecordRoom } from '../tsdb/wal/index.js';

/**
 * Appends a scanned request to a head and its log batch: first the floats of all series, then stale markers that turned
 * out to be those of histograms, then the histograms. See BatchAppender.append.
 * @throws VarveError unavailable `head-memory-full`; what was stored by then stands in the log batch as well
 */
export function appendBatch(
  head: Head,
  scan: ScanKernel,
  histograms: readonly HistogramSample[],
  futureLimitMs: number,
  admission: SeriesAdmission,
): Omit<AppendReport, 'durable'> {
  const { kernel } = head;
  const missing = kernel.loadBatch(scan);
  if (missing > 0) makeSeries(kernel, scan.columns.seriesCount, missing, admission);
  if (histograms.length > 0) {
    kernel.reserveHistograms(
      histograms.reduce((sum, { histogram }) => sum + histogramRecordRoom(histogram), 0),
    );
  }
  const outcome = kernel.appendLoaded(futureLimitMs);
  const examples = new Map<number, SampleExample>();
  const histogramCounts = new Uint32Array(outcome.counts.length);
  const mayHaveStale = kernel.histograms.firstStale !== null;
  if (mayHaveStale || histograms.length > 0) {
    const batch = new HistogramBatch(head, futureLimitMs);
    try {
      if (mayHaveStale) batch.appendStale(outcome);
      noteExamples(kernel, outcome, examples);
      batch.append(histograms, histogramCounts, examples);
    } finally {
      batch.finish();
    }
  } else noteExamples(kernel, outcome, examples);
  return { counts: outcome.counts, histogramCounts, examples };
}

/** Makes the series that the head does not know. */
function makeSeries(
  kernel: HeadKernel,
  seriesCount: number,
  missing: number,
  admission: SeriesAdmission,
): void {
  // All are validated before any is made: a request that is malformed somewhere stores nothing.
  const admitted: { readonly index: number; readonly labels: Uint8Array }[] = [];
  for (let i = 0; i < seriesCount && missing > 0; i++) {
    if (kernel.refAt(i) !== 0) continue;
    missing--;
    const labels = admission.admit(i);
    if (labels !== null) admitted.push({ index: i, labels });
  }
  for (const { index, labels } of admitted) {
    let ref = kernel.find(labels);
    if (ref === 0) {
      if (admission.seriesMax > 0 && kernel.seriesCount >= admission.seriesMax) {
        admission.refusedByLimit(index);
        continue;
      }
      ref = kernel.create(labels);
    }
    kernel.setRef(index, ref);
  }
}

function noteExamples(
  kernel: HeadKernel,
  outcome: AppendOutcome,
  examples: Map<number, SampleExample>,
): void {
  for (let code = SAMPLE_CODE.tooOld; code <= SAMPLE_CODE.seriesRefused; code++) {
    const k = outcome.first[code]!;
    if (k === NO_SAMPLE) continue;
    examples.set(code, { seriesIndex: kernel.seriesOfSample(k), ...kernel.sampleAt(k) });
  }
}

const NO_SAMPLE = 0xffffffff;

/** The histograms of one request on their way into head and log. */
class HistogramBatch {
  readonly #head: Head;
  readonly #futureLimitMs: number;
  readonly #records: HistogramRecords;

  constructor(head: Head, futureLimitMs: number) {
    this.#head = head;
    this.#futureLimitMs = futureLimitMs;
    this.#records = new HistogramRecords((record) => head.kernel.logRecord(record));
  }

  /** Appends the stale markers that came as floats for series of histograms; they count as the floats they were sent as. */
  appendStale(outcome: AppendOutcome): void {
    const { kernel, histograms } = this.#head;
    const stale = kernel.takeStaleMarkers();
    kernel.reserveHistograms(stale.length * STALE_RECORD_ROOM);
    for (const { seriesIndex, sample } of stale) {
      const ref = kernel.refAt(seriesIndex);
      const code = this.#append(ref, kernel.sampleAt(sample).timeMs, histograms.staleMarker(ref));
      outcome.counts[code]!++;
      outcome.first[code] = Math.min(outcome.first[code]!, sample);
    }
  }

  append(
    histograms: readonly HistogramSample[],
    counts: Uint32Array,
    examples: Map<number, SampleExample>,
  ): void {
    const { kernel } = this.#head;
    for (const { seriesIndex, timeMs, histogram } of histograms) {
      const ref = kernel.refAt(seriesIndex);
      const code = ref === 0 ? SAMPLE_CODE.seriesRefused : this.#append(ref, timeMs, histogram);
      counts[code]!++;
      if (code >= SAMPLE_CODE.tooOld && !examples.has(code))
        examples.set(code, { seriesIndex, timeMs, value: histogram.sum, histogram });
    }
  }

  #append(ref: number, timeMs: number, histogram: IntegerHistogram | FloatHistogram): number {
    const code = this.#head.histograms.append(ref, timeMs, histogram, this.#futureLimitMs);
    if (code <= SAMPLE_CODE.acceptedOutOfOrder) this.#records.add(ref, timeMs, histogram);
    return code;
  }

  /** Hands what was stored to the log. */
  finish(): void {
    this.#records.flush();
  }
}

/** What the record of a stale marker takes at most, with frames of its own. */
const STALE_RECORD_ROOM = 192;
