import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { Exemplar } from '../exemplar/index.js';
import type { PushOutcome, PushService } from '../http/index.js';
import { LABEL_FINDING, SAMPLE_CODE, ScanKernel } from '../kernel/index.js';
import type { LabelSet } from '../labels/index.js';
import type { Limits, LimitsProvider } from '../limits/index.js';
import { formatDuration } from '../settings/index.js';
import type { AppendReport, BatchAppender, HistogramSample, SeriesAdmission } from '../storage/index.js';
import type { BoundCounter, Logger, Metrics } from '../telemetry/index.js';
import { EXEMPLAR_REASON, type ExemplarReason, eachExemplar, parseExemplar } from './exemplar-reader.js';
import { HistogramIntake } from './histogram-intake.js';
import { describeSeries, encodeLabelBytes, normaliseLabels, parseLabelBytes } from './label-bytes.js';
import { parseMetricMetadata } from './metric-metadata.js';
import { formatTime, PushReport, reportSamples } from './push-report.js';
import { RateLimiter } from './rate-limiter.js';
import { REASON, type Reason } from './reasons.js';

/** The ingester as the distributor sees it. */
export interface IngestTarget extends BatchAppender {
  /** Makes sure that a tenant can be appended to; null when it can be at once. */
  prepare(tenant: string): Promise<unknown> | null;
  recordMetadata(
    tenant: string,
    metric: string,
    metadata: { readonly type: string; readonly help: string; readonly unit: string },
    metricsMax: number,
  ): boolean;
  /** Keeps an exemplar of a series that exists; false when it is older than the newest one of the series. */
  recordExemplar(tenant: string, labels: LabelSet, exemplar: Exemplar, countMax: number): boolean;
}

export interface DistributorParts {
  readonly target: IngestTarget;
  readonly limits: LimitsProvider;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Largest request after decompression. */
  readonly decodedBytesMax: number;
}

const OK: PushOutcome = { status: 204, message: '', retryAfterSeconds: 0 };
const RETRY_SECONDS = 5;

interface TenantState {
  readonly samples: RateLimiter;
  readonly requests: RateLimiter;
  readonly received: BoundCounter;
  readonly receivedHistograms: BoundCounter;
  readonly reducedHistograms: BoundCounter;
}

/** The native histograms of a request that are good, and the series that are not kept. */
interface Admitted {
  readonly histograms: readonly HistogramSample[];
  /** Series without a sample whose native histograms were all left out: nothing would be in them. */
  readonly emptied: ReadonlySet<number>;
  /** Series that were not admitted, filled as the ingester asks. */
  readonly refused: Set<number>;
}

/** Takes remote write requests: scans, validates, limits, hands over, and words the answer. */
export class Distributor implements PushService {
  readonly #parts: DistributorParts;
  readonly #scan = new ScanKernel();
  readonly #histograms = new HistogramIntake();
  readonly #tenants = new Map<string, TenantState>();
  readonly #received: { labels(tenant: string): BoundCounter };
  readonly #receivedHistograms: { labels(tenant: string): BoundCounter };
  readonly #reducedHistograms: { labels(tenant: string): BoundCounter };
  readonly #discarded: { labels(reason: string, tenant: string): BoundCounter };
  readonly #discardedExemplars: { labels(reason: string, tenant: string): BoundCounter };

  constructor(parts: DistributorParts) {
    this.#parts = parts;
    this.#received = parts.metrics.counter(
      'varve_distributor_received_samples_total',
      'Samples received, native histograms and refused ones included.',
      ['user'],
    );
    this.#receivedHistograms = parts.metrics.counter(
      'varve_distributor_received_native_histograms_total',
      'Native histograms received, refused ones included.',
      ['user'],
    );
    this.#reducedHistograms = parts.metrics.counter(
      'varve_reduced_resolution_histogram_samples_total',
      'Native histograms whose buckets were merged, to the bucket limit or to schema 8.',
      ['user'],
    );
    this.#discarded = parts.metrics.counter(
      'varve_discarded_samples_total',
      'Samples that were refused, by reason.',
      ['reason', 'user'],
    );
    this.#discardedExemplars = parts.metrics.counter(
      'varve_discarded_exemplars_total',
      'Exemplars that were not stored, by reason; the samples beside them were.',
      ['reason', 'user'],
    );
  }

  async push(tenant: string, body: readonly Uint8Array[], byteLength: number): Promise<PushOutcome> {
    const limits = this.#parts.limits.of(tenant);
    try {
      const preparing = this.#parts.target.prepare(tenant);
      if (preparing !== null) await preparing;
      const state = this.#state(tenant);
      const wait = state.requests.take(
        1,
        limits.requestRate,
        limits.requestBurstSize || limits.requestRate * 10,
      );
      if (wait > 0)
        return this.#tooMany(
          tenant,
          0,
          `request rate over ${limits.requestRate}/s (limits.request_rate)`,
          wait,
        );
      const stored = this.#store(tenant, state, limits, body, byteLength);
      if ('outcome' in stored) return stored.outcome;
      await stored.durable;
      return stored.report.isClean
        ? OK
        : {
            status: 400,
            message: stored.report.message(stored.sampleCount, stored.histogramCount),
            retryAfterSeconds: 0,
          };
    } catch (thrown) {
      return this.#failed(tenant, thrown);
    }
  }

  /** The synchronous part: from the scan to the head, so that the scan kernel serves one request at a time. */
  #store(
    tenant: string,
    state: TenantState,
    limits: Limits,
    body: readonly Uint8Array[],
    byteLength: number,
  ):
    | { readonly outcome: PushOutcome }
    | {
        readonly durable: Promise<void>;
        readonly report: PushReport;
        readonly sampleCount: number;
        readonly histogramCount: number;
      } {
    const scan = this.#scan;
    const columns = scan.load(body, byteLength, this.#parts.decodedBytesMax);
    const { histogramCount, exemplarCount, metadataCount } = columns;
    // Native histograms that are switched off cost nothing, so they do not count against the rate.
    const sampleCount = columns.sampleCount + (limits.nativeHistogramsIngestionEnabled ? histogramCount : 0);
    state.received.inc(columns.sampleCount + histogramCount);
    if (histogramCount > 0) state.receivedHistograms.inc(histogramCount);
    const burst = limits.ingestionBurstSize || limits.ingestionRate * 10;
    if (limits.ingestionRate > 0 && sampleCount > burst) {
      // No waiting would ever let it pass, so it must not look like something to retry.
      this.#discarded.labels(REASON.rateLimited, tenant).inc(sampleCount);
      const text = `a request of ${sampleCount} samples is over the burst of ${burst} (limits.ingestion_burst_size): send smaller ones`;
      return { outcome: { status: 400, message: `${REASON.rateLimited}: ${text}`, retryAfterSeconds: 0 } };
    }
    const wait = state.samples.take(sampleCount, limits.ingestionRate, burst);
    if (wait > 0) {
      const text = `ingestion rate over ${limits.ingestionRate} samples/s (limits.ingestion_rate)`;
      return { outcome: this.#tooMany(tenant, sampleCount, text, wait) };
    }
    const report = new PushReport();
    const admitted =
      histogramCount > 0 ? this.#takeHistograms(tenant, state, limits, report) : withoutHistograms();
    if (metadataCount > 0) this.#recordMetadata(tenant, limits, metadataCount);
    const futureLimitMs = this.#parts.clock.nowMs() + limits.creationGracePeriodMs;
    scan.setLabelLimits({
      labelCountMax: limits.maxLabelNamesPerSeries,
      nameBytesMax: limits.maxLabelNameLength,
      valueBytesMax: limits.maxLabelValueLength,
      labelSetBytesMax: limits.maxLabelsSizeBytes,
    });
    const appended = this.#parts.target.append(
      tenant,
      scan,
      admitted.histograms,
      futureLimitMs,
      this.#admission(limits, report, admitted),
    );
    if (exemplarCount > 0 && limits.maxGlobalExemplarsPerUser > 0) {
      this.#recordExemplars(tenant, limits, futureLimitMs, admitted.refused);
    }
    if (isRefusedSomewhere(appended)) {
      reportSamples(report, appended, (i) => describeSeries(parseLabelBytes(scan.labelBytes(i))), {
        outOfOrderWindow: formatDuration(limits.outOfOrderTimeWindowMs),
        gracePeriod: formatDuration(limits.creationGracePeriodMs),
      });
    }
    for (const { reason, count } of report.refusals) this.#discarded.labels(reason, tenant).inc(count);
    return {
      durable: appended.durable,
      report,
      sampleCount: acceptedOf(appended.counts),
      histogramCount: acceptedOf(appended.histogramCounts),
    };
  }

  /** Reads the native histograms of the request; what is wrong with some goes into the report. */
  #takeHistograms(tenant: string, state: TenantState, limits: Limits, report: PushReport): Admitted {
    const scan = this.#scan;
    const { histogramCount } = scan.columns;
    const emptied = new Set<number>();
    const leaveOut = (i: number) => {
      if (scan.sampleCountOf(i) === 0) emptied.add(i);
    };
    if (!limits.nativeHistogramsIngestionEnabled) {
      this.#discarded.labels(REASON.nativeHistogramsOff, tenant).inc(histogramCount);
      for (let k = 0; k < histogramCount; k++) leaveOut(scan.histogramSeriesOf(k));
      return { histograms: [], emptied, refused: new Set() };
    }
    const { samples, reducedCount } = this.#histograms.take(scan, limits, (i, timeMs, { reason, text }) => {
      leaveOut(i);
      report.refuse(reason, 1, () => {
        const time = timeMs === null ? '' : ` at ${formatTime(timeMs)}`;
        return `native histogram${time} of ${describeSeries(parseLabelBytes(scan.labelBytes(i)))}: ${text}`;
      });
    });
    if (reducedCount > 0) state.reducedHistograms.inc(reducedCount);
    if (emptied.size > 0) for (const { seriesIndex } of samples) emptied.delete(seriesIndex);
    return { histograms: samples, emptied, refused: new Set() };
  }

  #admission(
    limits: Limits,
    report: PushReport,
    { histograms, emptied, refused }: Admitted,
  ): SeriesAdmission {
    const scan = this.#scan;
    const refuse = (i: number, reason: Reason, what: string) => {
      refused.add(i);
      report.refuse(
        reason,
        scan.sampleCountOf(i) + histogramCountOf(histograms, i),
        () => `${what} in ${describeSeries(parseLabelBytes(scan.labelBytes(i)))}`,
      );
      return null;
    };
    return {
      seriesMax: limits.maxGlobalSeriesPerUser,
      refusedByLimit: (i) => {
        const text = `the tenant has ${limits.maxGlobalSeriesPerUser} series (limits.max_global_series_per_user); no room for the series`;
        refuse(i, REASON.seriesLimit, text);
      },
      admit: (i) => {
        const finding = scan.validate(i);
        if (emptied.has(i) && finding !== LABEL_FINDING.malformed) {
          refused.add(i);
          return null;
        }
        if (finding === LABEL_FINDING.canonical) return scan.labelBytes(i);
        if (finding === LABEL_FINDING.toNormalise) {
          const labels = normaliseLabels(parseLabelBytes(scan.labelBytes(i)));
          if (labels === null) return refuse(i, REASON.duplicateLabels, 'a label name occurs twice');
          return encodeLabelBytes(labels);
        }
        if (finding === LABEL_FINDING.malformed) {
          throw new VarveError(
            'client',
            'write-request-malformed',
            `protobuf: series ${i} has a label that is not a prometheus.Label`,
          );
        }
        const { reason, text } = wordFinding(finding, scan.offendingLabel(), limits);
        return refuse(i, reason, text);
      },
    };
  }

  /** A bad exemplar is counted and left out; it never fails the samples it came with. */
  #recordExemplars(
    tenant: string,
    limits: Limits,
    futureLimitMs: number,
    refused: ReadonlySet<number>,
  ): void {
    const scan = this.#scan;
    const store = (i: number, message: Uint8Array): ExemplarReason | null => {
      if (refused.has(i)) return EXEMPLAR_REASON.seriesMissing;
      const exemplar = parseExemplar(message, futureLimitMs);
      if (typeof exemplar === 'string') return exemplar;
      const labels = normaliseLabels(parseLabelBytes(scan.labelBytes(i)));
      if (labels === null) return EXEMPLAR_REASON.seriesMissing;
      const isStored = this.#parts.target.recordExemplar(
        tenant,
        labels,
        exemplar,
        limits.maxGlobalExemplarsPerUser,
      );
      return isStored ? null : EXEMPLAR_REASON.outOfOrder;
    };
    eachExemplar(scan.request, (i, message) => {
      const reason = store(i, message);
      if (reason !== null) this.#discardedExemplars.labels(reason, tenant).inc();
    });
  }

  #recordMetadata(tenant: string, limits: Limits, count: number): void {
    // All are read before any is kept: a request that is malformed somewhere stores nothing.
    const entries = Array.from({ length: count }, (_, i) => parseMetricMetadata(this.#scan.metadataBytes(i)));
    const lengthMax = limits.maxMetadataLength || Number.POSITIVE_INFINITY;
    for (const entry of entries) {
      if (entry.metricFamilyName === '') continue;
      this.#parts.target.recordMetadata(
        tenant,
        entry.metricFamilyName.slice(0, lengthMax),
        {
          type: entry.type,
          help: entry.help.slice(0, lengthMax),
          unit: entry.unit.slice(0, lengthMax),
        },
        limits.maxGlobalMetadataPerUser,
      );
    }
  }

  #state(tenant: string): TenantState {
    let state = this.#tenants.get(tenant);
    if (state === undefined) {
      state = {
        samples: new RateLimiter(this.#parts.clock),
        requests: new RateLimiter(this.#parts.clock),
        received: this.#received.labels(tenant),
        receivedHistograms: this.#receivedHistograms.labels(tenant),
        reducedHistograms: this.#reducedHistograms.labels(tenant),
      };
      this.#tenants.set(tenant, state);
    }
    return state;
  }

  #tooMany(tenant: string, sampleCount: number, text: string, waitSeconds: number): PushOutcome {
    if (sampleCount > 0) this.#discarded.labels(REASON.rateLimited, tenant).inc(sampleCount);
    return {
      status: 429,
      message: `${REASON.rateLimited}: tenant ${tenant}: ${text}`,
      retryAfterSeconds: Math.min(10, Math.max(1, Math.ceil(waitSeconds))),
    };
  }

  #failed(tenant: string, thrown: unknown): PushOutcome {
    if (thrown instanceof VarveError) {
      if (thrown.kind === 'client') {
        const status = thrown.code === 'body-too-large' ? 413 : 400;
        return { status, message: `${thrown.code}: ${thrown.message}`, retryAfterSeconds: 0 };
      }
      if (thrown.kind === 'unavailable') {
        return {
          status: 503,
          message: `${thrown.code}: ${thrown.message}`,
          retryAfterSeconds: RETRY_SECONDS,
        };
      }
    }
    this.#parts.logger.error({ tenant, error: messageOf(thrown) }, 'push failed');
    return { status: 500, message: `internal: ${messageOf(thrown)}`, retryAfterSeconds: RETRY_SECONDS };
  }
}

function withoutHistograms(): Admitted {
  return { histograms: [], emptied: new Set(), refused: new Set() };
}

/** How many histograms of series i there are; they come by ascending series. */
function histogramCountOf(histograms: readonly HistogramSample[], i: number): number {
  let low = 0;
  let high = histograms.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (histograms[middle]!.seriesIndex < i) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < histograms.length && histograms[end]!.seriesIndex === i) end++;
  return end - low;
}

function acceptedOf(counts: Uint32Array): number {
  return (
    counts[SAMPLE_CODE.accepted]! + counts[SAMPLE_CODE.acceptedOutOfOrder]! + counts[SAMPLE_CODE.duplicate]!
  );
}

function isRefusedSomewhere(report: AppendReport): boolean {
  return report.examples.size > 0;
}

function wordFinding(finding: number, label: string, limits: Limits): { reason: Reason; text: string } {
  const shown = JSON.stringify(label);
  switch (finding) {
    case LABEL_FINDING.missingName:
      return { reason: REASON.missingMetricName, text: 'no metric name (label __name__)' };
    case LABEL_FINDING.tooMany:
      return {
        reason: REASON.tooManyLabels,
        text: `more than ${limits.maxLabelNamesPerSeries} labels (limits.max_label_names_per_series)`,
      };
    case LABEL_FINDING.nameTooLong:
      return {
        reason: REASON.labelNameTooLong,
        text: `label name ${shown} is longer than ${limits.maxLabelNameLength} bytes (limits.max_label_name_length)`,
      };
    case LABEL_FINDING.valueTooLong:
      return {
        reason: REASON.labelValueTooLong,
        text: `the value of label ${shown} is longer than ${limits.maxLabelValueLength} bytes (limits.max_label_value_length)`,
      };
    case LABEL_FINDING.tooLarge:
      return {
        reason: REASON.labelsTooLarge,
        text: `labels of more than ${limits.maxLabelsSizeBytes} bytes together (limits.max_labels_size_bytes)`,
      };
    case LABEL_FINDING.nameInvalid:
      return { reason: REASON.labelInvalid, text: `label name ${shown} is empty or not UTF-8` };
    case LABEL_FINDING.valueInvalid:
      return { reason: REASON.labelValueInvalid, text: `the value of label ${shown} is not UTF-8` };
    case LABEL_FINDING.duplicate:
      return { reason: REASON.duplicateLabels, text: `label name ${shown} occurs twice` };
    default:
      return { reason: REASON.metricNameInvalid, text: `metric name ${shown} is not UTF-8` };
  }
}
