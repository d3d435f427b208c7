import { FloatHistogram, IntegerHistogram, RESET_HINT, type ResetHint } from '../../histogram/index.js';
import { ENCODING, RESET_HEADER } from './format.js';
import { HistogramAppender } from './histogram-appender.js';
import { HistogramDecoder } from './histogram-decoder.js';

/** The samples of a chunk of histograms as an appender takes them, windows on the decoded columns. */
export interface HistogramSamples {
  readonly sampleCount: number;
  /** ms. */
  readonly timestamps: Float64Array;
  at(i: number): IntegerHistogram | FloatHistogram;
}

/**
 * Decodes a chunk of encoding 2 or 3 to be encoded anew, among other samples or with some left out. Samples are gauges or
 * their relation to the one before is unknown: appenders find out.
 * @throws CorruptionError when the chunk does not decode
 */
export function decodeHistogramSamples(encoding: number, chunk: Uint8Array): HistogramSamples {
  const decoder = new HistogramDecoder();
  if (encoding === ENCODING.floatHistogram) {
    const { layout, header, stride, values, timestamps, sampleCount } = decoder.decode(encoding, chunk);
    const hint = hintOfHeader(header);
    const at = (i: number) => new FloatHistogram(layout, values.subarray(i * stride, (i + 1) * stride), hint);
    return { sampleCount, timestamps, at };
  }
  const { layout, header, stride, integers, timestamps, sampleCount } = decoder.decodeIntegers(
    encoding,
    chunk,
  );
  const hint = hintOfHeader(header);
  const at = (i: number) =>
    new IntegerHistogram(layout, integers.subarray(i * stride, (i + 1) * stride), hint);
  return { sampleCount, timestamps, at };
}

function hintOfHeader(header: number): ResetHint {
  return header === RESET_HEADER.gauge ? RESET_HINT.gauge : RESET_HINT.unknown;
}

/** An encoded chunk with the times of its first and last sample, ms. */
export interface TimedChunk {
  readonly minTime: number;
  readonly maxTime: number;
  readonly encoding: number;
  readonly data: Uint8Array;
}

/** Encodes a run of histograms of one kind into chunks of so many samples at most. */
export class HistogramRun {
  readonly #appender: HistogramAppender<IntegerHistogram | FloatHistogram>;
  readonly #samplesMax: number;
  readonly #chunks: TimedChunk[] = [];
  #minTime = 0;
  #maxTime = 0;

  constructor(isFloat: boolean, samplesMax: number) {
    this.#appender = isFloat ? HistogramAppender.floats() : HistogramAppender.integers();
    this.#samplesMax = samplesMax;
  }

  /** Appends a sample later than all before. */
  add(timeMs: number, histogram: IntegerHistogram | FloatHistogram): void {
    const appender = this.#appender;
    if (appender.sampleCount >= this.#samplesMax) this.#keep(appender.cut());
    this.#keep(appender.append(timeMs, histogram));
    if (appender.sampleCount === 1) this.#minTime = timeMs;
    this.#maxTime = timeMs;
  }

  /** The chunks of the run. */
  finish(): readonly TimedChunk[] {
    this.#keep(this.#appender.cut());
    return this.#chunks;
  }

  #keep(data: Uint8Array | null): void {
    if (data === null) return;
    const { encoding } = this.#appender;
    this.#chunks.push({ minTime: this.#minTime, maxTime: this.#maxTime, encoding, data });
  }
}
