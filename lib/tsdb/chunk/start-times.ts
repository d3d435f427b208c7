import type { BitReader } from './bit-reader.js';

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
