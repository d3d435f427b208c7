import { BitReader } from './bit-reader.js';
import { STALE_HIGH, STALE_LOW } from './format.js';
import { StartTimes } from './start-times.js';
import { readInWindow, readWindow } from './xor-column.js';

const HEADER_BYTES = 3;

/** A decoded chunk of floats with start times. */
export interface FloatColumns {
  readonly sampleCount: number;
  /** ms. */
  readonly timestamps: Float64Array;
  /** ms, 0 is unknown. */
  readonly startTimestamps: Float64Array;
  /** Raw bits, stale markers intact. */
  readonly values: Float64Array;
}

/** Decodes XOR2 chunks (encoding 4; spec: chunks.md §4). Results belong to the caller, errors as HistogramDecoder. */
export class Xor2Decoder {
  readonly #reader = new BitReader();
  readonly #starts = new StartTimes();

  decode(chunk: Uint8Array): FloatColumns {
    const reader = this.#reader;
    reader.reset(chunk, HEADER_BYTES);
    if (chunk.length < HEADER_BYTES) throw reader.fail('chunk-truncated', 'no header');
    const sampleCount = (chunk[0]! << 8) | chunk[1]!;
    this.#starts.reset(chunk[2]!);
    const timestamps = new Float64Array(sampleCount);
    const startTimestamps = new Float64Array(sampleCount);
    const values = new Float64Array(sampleCount);
    const out = new Int32Array(values.buffer);
    /** The last value that was no stale marker: what the next one is coded against. */
    const base = new Int32Array(2);
    const windows = new Uint8Array(2);
    let timestamp = 0;
    let delta = 0;
    for (let i = 0; i < sampleCount; i++) {
      let isStale = false;
      if (i === 0) {
        timestamp = reader.varint();
        reader.wide(64);
        isStale = reader.low === STALE_LOW && reader.high === STALE_HIGH;
        if (!isStale) {
          base[0] = reader.low;
          base[1] = reader.high;
        }
      } else if (i === 1) {
        delta = reader.uvarint();
        isStale = readValue(reader, base, windows);
      } else {
        const code = reader.ones(5);
        if (code === 1) {
          if (reader.isSet()) readWindow(reader, windows, 0);
          readInWindow(reader, base, windows, 0);
        } else if (code === 5) isStale = true;
        else if (code > 1) {
          delta += readTimeChange(reader, code);
          isStale = readValue(reader, base, windows);
        }
      }
      timestamp += delta;
      timestamps[i] = timestamp;
      out[2 * i] = isStale ? STALE_LOW : base[0]!;
      out[2 * i + 1] = isStale ? STALE_HIGH : base[1]!;
      startTimestamps[i] = this.#starts.next(reader, i, timestamp);
    }
    return { sampleCount, timestamps, startTimestamps, values };
  }
}

/** How much the time delta changes: ordinary two's complement, unlike in the other encodings. */
function readTimeChange(reader: BitReader, code: number): number {
  if (code === 4) {
    reader.wide(64);
    return reader.high * 0x1_0000_0000 + (reader.low >>> 0);
  }
  const width = code === 2 ? 13 : 20;
  const value = reader.bits(width);
  return value >= 2 ** (width - 1) ? value - 2 ** width : value;
}

/** Reads a value behind a time; says whether it is a stale marker. */
function readValue(reader: BitReader, base: Int32Array, windows: Uint8Array): boolean {
  const code = reader.ones(3);
  if (code === 0) return false;
  if (code === 3) return true;
  if (code === 2) readWindow(reader, windows, 0);
  readInWindow(reader, base, windows, 0);
  return false;
}
