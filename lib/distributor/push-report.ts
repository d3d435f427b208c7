import { SAMPLE_CODE } from '../kernel/index.js';
import type { AppendReport, SampleExample } from '../storage/index.js';
import { REASON, type Reason } from './reasons.js';

/** Senders keep the first 1024 bytes of an error: what is longer is cut at a reason. */
const MESSAGE_BYTES_MAX = 1000;
/** An example longer than this is cut: names and values come from strangers. */
const EXAMPLE_BYTES_MAX = 600;

interface Refusal {
  readonly reason: Reason;
  count: number;
  /** What was wrong with the first one, as text. */
  readonly example: string;
}

/** Collects what was refused of one request and words the answer. */
export class PushReport {
  readonly #refusals = new Map<Reason, Refusal>();

  /** @param example made for the first refusal of a reason only */
  refuse(reason: Reason, count: number, example: () => string): void {
    const known = this.#refusals.get(reason);
    if (known !== undefined) known.count += count;
    else this.#refusals.set(reason, { reason, count, example: example() });
  }

  get refusals(): Iterable<{ readonly reason: Reason; readonly count: number }> {
    return this.#refusals.values();
  }

  get isClean(): boolean {
    return this.#refusals.size === 0;
  }

  /**
   * Reason first, then the example, then counts: everything a sender's log must show.
   * @param sampleCount floats that were accepted
   * @param histogramCount native histograms that were
   */
  message(sampleCount: number, histogramCount: number): string {
    const parts: string[] = [];
    let bytes = 0;
    for (const { reason, count, example } of this.#refusals.values()) {
      const part = `${reason}: ${cutText(example, EXAMPLE_BYTES_MAX)} (${count} refused)`;
      bytes += Buffer.byteLength(part) + 2;
      if (parts.length > 0 && bytes > MESSAGE_BYTES_MAX - 60) {
        parts.push('…');
        break;
      }
      parts.push(part);
    }
    const histograms = histogramCount > 0 ? ` and ${histogramCount} native histograms` : '';
    return `${parts.join('; ')}; ${sampleCount} samples${histograms} of the request were stored`;
  }
}

/** A text cut to a number of UTF-8 bytes, at a character. */
function cutText(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}…`;
}

/** Settings that the texts name. */
export interface SampleRules {
  readonly outOfOrderWindow: string;
  readonly gracePeriod: string;
}

/** Adds the refusals of single samples to the report. */
export function reportSamples(
  report: PushReport,
  outcome: AppendReport,
  describe: (seriesIndex: number) => string,
  rules: SampleRules,
): void {
  const add = (code: number, reason: Reason, text: (example: SampleExample) => string) => {
    const count = (outcome.counts[code] ?? 0) + (outcome.histogramCounts[code] ?? 0);
    const example = outcome.examples.get(code);
    if (count > 0 && example !== undefined) report.refuse(reason, count, () => text(example));
  };
  const at = (example: SampleExample) =>
    `${example.histogram === undefined ? 'sample' : 'native histogram'} at ${formatTime(example.timeMs)} of ${describe(example.seriesIndex)}`;
  add(
    SAMPLE_CODE.tooOld,
    REASON.tooOld,
    (e) =>
      `${at(e)} is further behind the newest sample than the out-of-order window of ${rules.outOfOrderWindow} (limits.out_of_order_time_window)`,
  );
  add(SAMPLE_CODE.newValue, REASON.newValue, (e) =>
    e.histogram === undefined
      ? `${at(e)} has another value (${e.value}) than the one stored for this time`
      : `${at(e)} is not the one stored for this time`,
  );
  add(
    SAMPLE_CODE.future,
    REASON.tooFarInFuture,
    (e) =>
      `${at(e)} is further in the future than ${rules.gracePeriod} (limits.creation_grace_period); check the sender's clock`,
  );
  add(
    SAMPLE_CODE.outOfOrder,
    REASON.outOfOrder,
    (e) =>
      `${at(e)} is older than the newest one of its series and out-of-order samples are off (limits.out_of_order_time_window)`,
  );
  add(SAMPLE_CODE.outOfBounds, REASON.outOfBounds, (e) => `${at(e)} is older than what the head takes`);
}

/** ISO time, or the plain number where no calendar reaches. */
export function formatTime(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms`;
}
