import { type FloatHistogram, histogramJson } from '../histogram/index.js';
import { type ByteWriter, formatFloat, TIMESTAMP_BYTES_MAX, writeTimestamp } from './json-bytes.js';

/** Texts kept at most: bounds repeat from sample to sample, and counts often do. */
const TEXTS_MAX = 4096;

/** Writes histograms as the HTTP API shows them. Holds texts of numbers: one per answer. */
export class HistogramWriter {
  readonly #texts = new Map<number, string>();
  readonly #format = (value: number): string => this.#formatOnce(value);

  /** One sample: `[<seconds>,{"count":…}]`. */
  writeSample(out: ByteWriter, timestampMs: number, histogram: FloatHistogram): void {
    out.text('[');
    out.reserve(TIMESTAMP_BYTES_MAX);
    out.length = writeTimestamp(out.bytes, out.length, timestampMs);
    out.text(`,${JSON.stringify(histogramJson(histogram, this.#format))}]`);
  }

  #formatOnce(value: number): string {
    // A map takes both zeros for one.
    if (value === 0) return formatFloat(value);
    let text = this.#texts.get(value);
    if (text === undefined) {
      text = formatFloat(value);
      if (this.#texts.size < TEXTS_MAX) this.#texts.set(value, text);
    }
    return text;
  }
}
