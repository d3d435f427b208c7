import { codecKernel } from '../../kernel/index.js';
import { BitWriter } from './bit-writer.js';
import { ENCODING, HISTOGRAM_HEADER_BYTES } from './format.js';
import { HistogramDecoder } from './histogram-decoder.js';
import { writeLayout } from './layout-codec.js';
import { FLOAT_ROWS, INTEGER_ROWS } from './rows.js';
import { Xor2Decoder } from './xor2-decoder.js';

/** A chunk of encoding 1, 2 or 3. */
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
    const out = this.#out;
    const isFloat = encoding === ENCODING.floatHistogramSt;
    const columns = isFloat
      ? this.#histograms.decode(encoding, chunk)
      : this.#histograms.decodeIntegers(encoding, chunk);
    const { layout, header, sampleCount, stride, timestamps } = columns;
    const words = 'words' in columns ? columns.words : new Int32Array(columns.values.buffer);
    const writer = (isFloat ? FLOAT_ROWS : INTEGER_ROWS).writer(stride);
    out.clear();
    out.bits((sampleCount << 8) | header, HISTOGRAM_HEADER_BYTES * 8);
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
    }
    return { encoding: isFloat ? ENCODING.floatHistogram : ENCODING.histogram, data: out.copy() };
  }
}
