import { CorruptionError } from '../../errors/index.js';
import { FloatHistogram, IntegerHistogram, RESET_HINT, type ResetHint } from '../../histogram/index.js';
import { codecKernel } from '../../kernel/index.js';
import type { Interval } from '../block/index.js';
import {
  ENCODING,
  HistogramAppender,
  type HistogramColumns,
  HistogramDecoder,
  type IntegerColumns,
  RESET_HEADER,
  Xor2Decoder,
} from '../chunk/index.js';

/** Takes a finished chunk; the data belongs to the receiver. */
export type ChunkSink = (encoding: number, data: Uint8Array, minTime: number, maxTime: number) => void;

/** A decoded chunk and how far it was merged. */
interface Run {
  readonly kind: 'floats' | 'integers' | 'doubles';
  readonly rank: number;
  readonly timestamps: Float64Array;
  /** Which samples are left, in order. */
  readonly indexes: Uint32Array;
  at: number;
  /** One of them, by kind. */
  readonly values: Float64Array | null;
  readonly integers: IntegerColumns | null;
  readonly doubles: HistogramColumns | null;
}

/**
 * Merges chunks of any encodings of one series sample by sample: for clusters with native histograms, which are rare.
 * Those of floats alone go through the kernel.
 */
export class SampleMerger {
  readonly #decoder = new HistogramDecoder();
  readonly #xor2 = new Xor2Decoder();
  #runs: Run[] = [];

  begin(): void {
    this.#runs = [];
  }

  /**
   * Adds a chunk.
   * @param minTime first and last time as the index gives them
   * @param spans deleted times
   * @throws CorruptionError when it does not decode, or its times are wrong
   */
  add(
    encoding: number,
    data: Uint8Array,
    minTime: number,
    maxTime: number,
    rank: number,
    spans: readonly Interval[],
  ): void {
    const decoded = this.#decode(encoding, data);
    const { timestamps } = decoded;
    const indexes = new Uint32Array(timestamps.length);
    let left = 0;
    for (let i = 0; i < timestamps.length; i++) {
      const time = timestamps[i]!;
      if (i > 0 && time <= timestamps[i - 1]!) throw badTime('sample-order', time);
      if (time < minTime || time > maxTime) throw badTime('chunk-time', time);
      if (!spans.some((span) => time >= span.minTime && time <= span.maxTime)) indexes[left++] = i;
    }
    this.#runs.push({ ...decoded, rank, indexes: indexes.subarray(0, left), at: 0 });
  }

  /** Merges what was added and hands over the chunks that come out, in order. */
  run(samplesMax: number, sink: ChunkSink): void {
    const output = new MixedOutput(samplesMax, sink);
    for (let run = this.#takeNext(); run !== null; run = this.#takeNext()) {
      output.add(run, run.indexes[run.at++]!);
    }
    output.finish();
    this.#runs = [];
  }

  /** The run whose sample is next; those of other runs with the same time are passed over. */
  #takeNext(): Run | null {
    let best: Run | null = null;
    let bestTime = Number.POSITIVE_INFINITY;
    for (const run of this.#runs) {
      if (run.at === run.indexes.length) continue;
      const time = run.timestamps[run.indexes[run.at]!]!;
      if (time < bestTime) {
        best = run;
        bestTime = time;
      } else if (time === bestTime && best !== null) {
        if (run.rank < best.rank) {
          best.at++;
          best = run;
        } else run.at++;
      }
    }
    return best;
  }

  #decode(
    encoding: number,
    data: Uint8Array,
  ): Pick<Run, 'kind' | 'timestamps' | 'values' | 'integers' | 'doubles'> {
    if (encoding === ENCODING.xor || encoding === ENCODING.xor2) {
      const { timestamps, values } = encoding === ENCODING.xor ? decodeXor(data) : this.#xor2.decode(data);
      return { kind: 'floats', timestamps, values, integers: null, doubles: null };
    }
    if (encoding === ENCODING.histogram || encoding === ENCODING.histogramSt) {
      const integers = this.#decoder.decodeIntegers(encoding, data);
      return { kind: 'integers', timestamps: integers.timestamps, values: null, integers, doubles: null };
    }
    const doubles = this.#decoder.decode(encoding, data);
    return { kind: 'doubles', timestamps: doubles.timestamps, values: null, integers: null, doubles };
  }
}

/** Encodes samples of changing kinds: a new chunk at each change and when one is full. */
class MixedOutput {
  readonly #samplesMax: number;
  readonly #sink: ChunkSink;
  #kind: Run['kind'] | null;
  #minTime: number;
  #maxTime: number;
  readonly #timestamps: Float64Array;
  readonly #values: Float64Array;
  /** `values` as words: a number on its way through JavaScript could lose the bits of a NaN. */
  readonly #words: Uint32Array;
  #floatCount: number;
  #integers: HistogramAppender<IntegerHistogram> | null;
  #doubles: HistogramAppender<FloatHistogram> | null;

  constructor(samplesMax: number, sink: ChunkSink) {
    this.#samplesMax = samplesMax;
    this.#sink = sink;
    this.#kind = null;
    this.#minTime = 0;
    this.#maxTime = 0;
    this.#timestamps = new Float64Array(samplesMax);
    this.#values = new Float64Array(samplesMax);
    this.#words = new Uint32Array(this.#values.buffer);
    this.#floatCount = 0;
    this.#integers = null;
    this.#doubles = null;
  }

  add(run: Run, index: number): void {
    if (run.kind !== this.#kind) {
      this.finish();
      this.#kind = run.kind;
      this.#integers = run.kind === 'integers' ? HistogramAppender.integers() : null;
      this.#doubles = run.kind === 'doubles' ? HistogramAppender.floats() : null;
    }
    const time = run.timestamps[index]!;
    if (run.values !== null) this.#addFloat(time, run.values, index);
    else if (run.integers !== null) {
      const { layout, integers, stride } = run.integers;
      const row = integers.subarray(index * stride, (index + 1) * stride);
      const hint = hintAt(run.integers.header);
      this.#addHistogram(this.#integers!, time, new IntegerHistogram(layout, row, hint));
    } else {
      const { layout, values, stride, header } = run.doubles!;
      const row = values.subarray(index * stride, (index + 1) * stride);
      const hint = hintAt(header);
      this.#addHistogram(this.#doubles!, time, new FloatHistogram(layout, row, hint));
    }
  }

  /** Hands over the open chunk. */
  finish(): void {
    const count = this.#floatCount;
    if (count > 0) {
      const data = codecKernel().encodeXor(this.#timestamps, this.#values, count);
      this.#sink(ENCODING.xor, data, this.#timestamps[0]!, this.#timestamps[count - 1]!);
      this.#floatCount = 0;
    }
    for (const appender of [this.#integers, this.#doubles]) {
      const data = appender?.cut() ?? null;
      if (data !== null) this.#sink(appender!.encoding, data, this.#minTime, this.#maxTime);
    }
  }

  #addFloat(time: number, values: Float64Array, index: number): void {
    if (this.#floatCount === this.#samplesMax) this.finish();
    const words = new Uint32Array(values.buffer, values.byteOffset + index * 8, 2);
    const i = this.#floatCount++;
    this.#timestamps[i] = time;
    this.#words[2 * i] = words[0]!;
    this.#words[2 * i + 1] = words[1]!;
  }

  #addHistogram<H extends IntegerHistogram | FloatHistogram>(
    appender: HistogramAppender<H>,
    time: number,
    histogram: H,
  ): void {
    if (appender.sampleCount === this.#samplesMax) this.finish();
    const isOpen = appender.sampleCount > 0;
    const finished = appender.append(time, histogram);
    if (finished !== null) this.#sink(appender.encoding, finished, this.#minTime, this.#maxTime);
    if (!isOpen || finished !== null) this.#minTime = time;
    this.#maxTime = time;
  }
}

/** Gauges stay gauges. Resets are found by comparing samples: what a header says was about a neighbour of old. */
function hintAt(header: HistogramColumns['header']): ResetHint {
  return header === RESET_HEADER.gauge ? RESET_HINT.gauge : RESET_HINT.unknown;
}

function decodeXor(data: Uint8Array): { timestamps: Float64Array; values: Float64Array } {
  const count = (data[0]! << 8) | data[1]!;
  const timestamps = new Float64Array(count);
  const values = new Float64Array(count);
  codecKernel().decodeXorInto(data, timestamps, values);
  return { timestamps, values };
}

function badTime(code: string, time: number): CorruptionError {
  return new CorruptionError(code, `a sample at ${time} is out of order or outside the chunk's times`, {
    details: { found: time },
  });
}
