import { CorruptionError } from '../../errors/index.js';
import { ByteReader } from '../index/index.js';
import { RECORD } from './format.js';
import { skipHistogram } from './records.js';

/** What stands before the value of an entry about its start time. */
const START = { none: 0, asBefore: 1, explicit: 2 } as const;

/** Entries of records of version 2 (11 to 13): samples and histograms with start times (spec: wal.md §3). */
export class SampleV2RecordReader {
  ref = 0;
  timestampMs = 0;
  /** Start time in ms, 0 for none. */
  startMs = 0;
  /** 8 bytes of value, or a histogram. */
  body: Uint8Array = new Uint8Array(0);
  readonly #reader = new ByteReader('sample record v2');
  #type = 0;
  #isFirst = true;
  #firstMs = 0;
  #firstStartMs = 0;

  reset(type: number, payload: Uint8Array): void {
    this.#type = type;
    this.#reader.reset(payload, 0);
    this.#isFirst = true;
    this.ref = 0;
  }

  next(): boolean {
    const reader = this.#reader;
    if (reader.remaining === 0) return false;
    if (this.#isFirst) {
      this.#isFirst = false;
      this.ref = reader.varint();
      this.#firstMs = this.timestampMs = reader.varint();
      this.#firstStartMs = this.startMs = reader.varint();
    } else {
      // Refs go on from the entry before, times from the first.
      this.ref += reader.varint();
      this.timestampMs = this.#firstMs + reader.varint();
      this.#readStart();
    }
    const begin = reader.position;
    if (this.#type === RECORD.samplesV2) reader.skip(8);
    else skipHistogram(reader, this.#type);
    this.body = reader.bytes.subarray(begin, reader.position);
    return true;
  }

  #readStart(): void {
    const marker = this.#reader.u8();
    if (marker === START.none) this.startMs = 0;
    else if (marker === START.explicit) this.startMs = this.#firstStartMs + this.#reader.varint();
    else if (marker !== START.asBefore) {
      const offset = this.#reader.position - 1;
      throw new CorruptionError(
        'sample-record-marker',
        `sample record v2: unknown marker ${marker} at offset ${offset}`,
        {
          details: { offset, found: marker },
        },
      );
    }
  }
}
