import { BitWriter } from './bit-writer.js';
import { STALE_HIGH, STALE_LOW } from './format.js';
import { StartTimesWriter, writeUvarint, writeVarint } from './start-times.js';
import { NO_WINDOW, trailingZeros, writeShifted } from './xor-column.js';

const LEADING_MAX = 31;

/**
 * Encodes samples as one XOR2 chunk (encoding 4; spec: chunks.md §4): the payload that `Xor2Decoder` takes.
 * @param timestamps ms, ascending
 * @param values raw bits are kept, stale markers included
 * @param starts start times in ms, 0 where unknown
 */
export function encodeXor2(timestamps: Float64Array, values: Float64Array, starts: Float64Array): Uint8Array {
  const out = new BitWriter(256);
  const times = new StartTimesWriter(timestamps, starts);
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  const column = new ValueColumn(out);
  const n = timestamps.length;
  out.bits((n << 8) | times.header, 24);
  let delta = 0;
  for (let i = 0; i < n; i++) {
    const low = words[2 * i]!;
    const high = words[2 * i + 1]!;
    const isStale = low === STALE_LOW && high === STALE_HIGH;
    if (i === 0) {
      writeVarint(out, timestamps[0]!);
      out.wide(high, low, 64);
      if (!isStale) column.begin(high, low);
    } else {
      const nextDelta = timestamps[i]! - timestamps[i - 1]!;
      const change = nextDelta - delta;
      delta = nextDelta;
      if (i > 1 && change === 0) column.writeAtOnce(high, low, isStale);
      else {
        if (i === 1) writeUvarint(out, BigInt(nextDelta));
        else writeTimeChange(out, change);
        column.write(high, low, isStale);
      }
    }
    times.write(out, i);
  }
  return out.copy();
}

function writeTimeChange(out: BitWriter, change: number): void {
  if (change >= -4096 && change < 4096) {
    out.bits(0b110, 3);
    out.bits(change, 13);
  } else if (change >= -524_288 && change < 524_288) {
    out.bits(0b1110, 4);
    out.bits(change, 20);
  } else {
    out.bits(0b11110, 5);
    out.wide(Math.floor(change / 0x1_0000_0000), change | 0, 64);
  }
}

/** Values, each coded against the last that was no stale marker. */
class ValueColumn {
  readonly #out: BitWriter;
  #high = 0;
  #low = 0;
  #leading = NO_WINDOW;
  #trailing = 0;

  constructor(out: BitWriter) {
    this.#out = out;
  }

  begin(high: number, low: number): void {
    this.#high = high;
    this.#low = low;
  }

  /** Behind a time of its own. */
  write(high: number, low: number, isStale: boolean): void {
    const out = this.#out;
    if (isStale) out.bits(0b111, 3);
    else if (this.#isSame(high, low)) out.bits(0, 1);
    else this.#writeChange(high, low, 0b10, 0b110);
  }

  /** When the time follows from those before: one code says so and what comes. */
  writeAtOnce(high: number, low: number, isStale: boolean): void {
    const out = this.#out;
    if (isStale) out.bits(0b11111, 5);
    else if (this.#isSame(high, low)) out.bits(0, 1);
    else this.#writeChange(high, low, 0b100, 0b101);
  }

  #isSame(high: number, low: number): boolean {
    return high === this.#high && low === this.#low;
  }

  /** @param reuse code of a value in the window of the last; as long as `renew` or one bit shorter */
  #writeChange(high: number, low: number, reuse: number, renew: number): void {
    const out = this.#out;
    const xorHigh = high ^ this.#high;
    const xorLow = low ^ this.#low;
    this.begin(high, low);
    const leading = xorHigh === 0 ? 32 + Math.clz32(xorLow) : Math.clz32(xorHigh);
    const trailing = xorLow === 0 ? 32 + trailingZeros(xorHigh) : trailingZeros(xorLow);
    if (this.#leading !== NO_WINDOW && leading >= this.#leading && trailing >= this.#trailing) {
      out.bits(reuse, 32 - Math.clz32(reuse));
    } else {
      this.#leading = Math.min(leading, LEADING_MAX);
      this.#trailing = trailing;
      out.bits(renew, 3);
      out.bits(this.#leading, 5);
      // 64 is written as 0.
      out.bits(64 - this.#leading - trailing, 6);
    }
    writeShifted(out, xorHigh, xorLow, this.#leading, this.#trailing);
  }
}
