import type { BitReader } from './bit-reader.js';
import type { BitWriter } from './bit-writer.js';

/**
 * The start times in chunks of encodings 4 to 6 (spec: chunks.md §4): a header byte, and parts behind the samples from
 * the one on whose start time differs.
 */
export class StartTimes {
  #hasFirst = false;
  /** Index of the first sample with a part, 0 for none. */
  #change = 0;
  #start = 0;
  #lastTimestamp = 0;
  #difference = 0;

  reset(header: number): void {
    this.#hasFirst = (header & 0x80) !== 0;
    this.#change = header & 0x7f;
    this.#start = 0;
    this.#lastTimestamp = 0;
    this.#difference = 0;
  }

  /** Reads the part of sample i, if it has one, and returns its start time in ms; 0 is unknown. */
  next(reader: BitReader, i: number, timestampMs: number): number {
    if (i === 0) {
      if (this.#hasFirst) this.#start = timestampMs - reader.varint();
    } else if (this.#change > 0 && i >= this.#change) {
      // Differences are to the sample before: its time is often this one's start.
      if (i === this.#change) this.#difference = reader.varbitInt();
      else this.#difference += reader.varbitInt();
      this.#start = this.#lastTimestamp - this.#difference;
    }
    this.#lastTimestamp = timestampMs;
    return this.#start;
  }
}

/** Index of a change that seven bits can tell; a change is written there even where there is none. */
const CHANGE_MAX = 127;

/** Writes the start times of a chunk whose samples are all known: the twin of `StartTimes`. */
export class StartTimesWriter {
  readonly #timestamps: Float64Array;
  readonly #starts: Float64Array;
  readonly #change: number;
  /** The header byte. */
  readonly header: number;

  /** @param starts ms, 0 is unknown */
  constructor(timestamps: Float64Array, starts: Float64Array) {
    const differs = starts.findIndex((start) => start !== starts[0]);
    const isLong = starts.length > CHANGE_MAX;
    const change = differs < 0 ? (isLong ? CHANGE_MAX : 0) : Math.min(differs, CHANGE_MAX);
    this.#timestamps = timestamps;
    this.#starts = starts;
    this.#change = change;
    this.header = ((starts[0] ?? 0) === 0 ? 0 : 0x80) | change;
  }

  /** Writes the part of sample i, if it has one. */
  write(out: BitWriter, i: number): void {
    if (i === 0) {
      if (this.header >= 0x80) writeVarint(out, this.#timestamps[0]! - this.#starts[0]!);
    } else if (this.#change > 0 && i >= this.#change) {
      const before = i === this.#change ? 0 : this.#difference(i - 1);
      out.varbitNumber(this.#difference(i) - before);
    }
  }

  #difference(i: number): number {
    return this.#timestamps[i - 1]! - this.#starts[i]!;
  }
}

/** A signed varint of whole bytes, wherever the stream stands. */
export function writeVarint(out: BitWriter, value: number): void {
  const wide = BigInt(value);
  writeUvarint(out, wide < 0n ? -2n * wide - 1n : 2n * wide);
}

export function writeUvarint(out: BitWriter, value: bigint): void {
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) out.bits(Number(rest & 0x7fn) | 0x80, 8);
  out.bits(Number(rest), 8);
}
