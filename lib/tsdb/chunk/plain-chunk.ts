import { codecKernel } from '../../kernel/index.js';
import { BitWriter } from './bit-writer.js';
import { ENCODING, HISTOGRAM_HEADER_BYTES } from './format.js';
import type { HistogramColumns } from './histogram-columns.js';
import { HistogramDecoder, type IntegerColumns } from './histogram-decoder.js';
import { writeLayout } from './layout-codec.js';
import { FLOAT_ROWS, INTEGER_ROWS } from './rows.js';
import { StartTimesWriter } from './start-times.js';
import { Xor2Decoder } from './xor2-decoder.js';

/** A chunk and its encoding. */
export interface PlainChunk {
  readonly encoding: number;
  readonly data: Uint8Array;
}

/** Writes chunks of encodings 4 to 6 anew without their start times, for readers of the older ones. Holds scratch memory. */
export class PlainChunkWriter {
  readonly #histograms = new HistogramDecoder();
  readonly #xor2 = new Xor2Decoder();
  readonly #out = new BitWriter(1024);

  /** The same samples in encoding 1, 2 or 3. @throws CorruptionError when the chunk is of another encoding or does not decode. */
  write(encoding: number, chunk: Uint8Array): PlainChunk {
    if (encoding !== ENCODING.xor2) return this.#writeHistograms(encoding, chunk);
    const { timestamps, values, sampleCount } = this.#xor2.decode(chunk);
    return { encoding: ENCODING.xor, data: codecKernel().encodeXor(timestamps, values, sampleCount) };
  }

  #writeHistograms(encoding: number, chunk: Uint8Array): PlainChunk {
    const isFloat = encoding === ENCODING.floatHistogramSt;
    const columns = isFloat
      ? this.#histograms.decode(encoding, chunk)
      : this.#histograms.decodeIntegers(encoding, chunk);
    const data = writeHistogramChunk(this.#out, columns, isFloat, null);
    return { encoding: isFloat ? ENCODING.floatHistogram : ENCODING.histogram, data };
  }
}

/** The same samples as a chunk of encoding 2 or 3 has, with start times (ms, 0 is unknown): encoding 5 or 6. */
export function addStartTimes(encoding: number, chunk: Uint8Array, starts: Float64Array): PlainChunk {
  const decoder = new HistogramDecoder();
  const isFloat = encoding === ENCODING.floatHistogram;
  const columns = isFloat ? decoder.decode(encoding, chunk) : decoder.decodeIntegers(encoding, chunk);
  const data = writeHistogramChunk(new BitWriter(1024), columns, isFloat, starts);
  return { encoding: isFloat ? ENCODING.floatHistogramSt : ENCODING.histogramSt, data };
}

function writeHistogramChunk(
  out: BitWriter,
  columns: HistogramColumns | IntegerColumns,
  isFloat: boolean,
  starts: Float64Array | null,
): Uint8Array {
  const { layout, header, sampleCount, stride, timestamps } = columns;
  const words = 'words' in columns ? columns.words : new Int32Array(columns.values.buffer);
  const writer = (isFloat ? FLOAT_ROWS : INTEGER_ROWS).writer(stride);
  const times = starts === null ? null : new StartTimesWriter(timestamps, starts);
  out.clear();
  if (times === null) out.bits((sampleCount << 8) | header, HISTOGRAM_HEADER_BYTES * 8);
  else out.bits((header << 16) | (sampleCount << 8) | times.header, HISTOGRAM_HEADER_BYTES * 8);
  if (sampleCount > 0) writeLayout(out, layout);
  let last = 0;
  let lastDelta = 0;
  for (let i = 0; i < sampleCount; i++) {
    const delta = timestamps[i]! - last;
    out.varbitNumber(i === 0 ? delta : delta - lastDelta);
    // The first delta of all is against 0: the second sample stores its own in full.
    lastDelta = i === 0 ? 0 : delta;
    last = timestamps[i]!;
    writer.write(out, words.subarray(i * stride * 2, (i + 1) * stride * 2), i === 0);
    times?.write(out, i);
  }
  return out.copy();
}
