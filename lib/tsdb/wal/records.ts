import type { LabelSet } from '../../labels/index.js';
import { ByteReader, type ByteWriter } from '../index/index.js';
import { CUSTOM_BUCKETS_SCHEMA, RECORD } from './format.js';

/**
 * Codecs of the log's records, entry by entry over a payload (the record behind its type byte). Readers are reused:
 * `reset(payload)`, then `next()` until it says false. Broken payloads give a CorruptionError with the offset inside
 * the payload, since the frame around them had a valid checksum.
 */

/** Entries of a series record: a ref and its labels. */
export class SeriesRecordReader {
  ref = 0;
  /** The labels as they stand in the record: count, then names and values behind their lengths. */
  labelBytes: Uint8Array = new Uint8Array(0);
  readonly #reader = new ByteReader('series record');

  reset(payload: Uint8Array): void {
    this.#reader.reset(payload, 0);
  }

  next(): boolean {
    const reader = this.#reader;
    if (reader.remaining === 0) return false;
    this.ref = reader.be64();
    const start = reader.position;
    skipLabels(reader);
    this.labelBytes = reader.bytes.subarray(start, reader.position);
    return true;
  }

  labels(): LabelSet {
    return readLabels(new ByteReader('series record', this.labelBytes));
  }
}

/** Entries of records with a base: samples, exemplars and histograms. Bodies stay encoded. */
export class SampleRecordReader {
  ref = 0;
  timestampMs = 0;
  /** What follows ref and time: 8 bytes of value, an exemplar's value and labels, or a histogram. */
  body: Uint8Array = new Uint8Array(0);
  readonly #reader = new ByteReader('sample record');
  #type = 0;
  #baseRef = 0;
  #baseTime = 0;

  reset(type: number, payload: Uint8Array): void {
    this.#type = type;
    this.#reader.reset(payload, 0);
    if (payload.length === 0) return;
    this.#baseRef = this.#reader.be64();
    this.#baseTime = readInt64(this.#reader);
  }

  next(): boolean {
    const reader = this.#reader;
    if (reader.remaining === 0) return false;
    this.ref = this.#baseRef + reader.varint();
    this.timestampMs = this.#baseTime + reader.varint();
    const start = reader.position;
    skipBody(reader, this.#type);
    this.body = reader.bytes.subarray(start, reader.position);
    return true;
  }
}

/** Writes a record with a base from encoded bodies: the twin of SampleRecordReader. */
export class SampleRecordWriter {
  readonly out: ByteWriter;
  #baseRef: number;
  #baseTime: number;

  constructor(out: ByteWriter) {
    this.out = out;
    this.#baseRef = 0;
    this.#baseTime = 0;
  }

  /** Starts a record: everything before is dropped. */
  start(type: number): void {
    this.out.clear();
    this.out.u8(type);
  }

  add(ref: number, timestampMs: number, body: Uint8Array): void {
    const out = this.out;
    if (out.length === 1) {
      this.#baseRef = ref;
      this.#baseTime = timestampMs;
      out.be64(ref);
      writeInt64(out, timestampMs);
    }
    out.varint(ref - this.#baseRef);
    out.varint(timestampMs - this.#baseTime);
    out.raw(body);
  }

  /** Whether nothing was added since the start. */
  get isEmpty(): boolean {
    return this.out.length === 1;
  }
}

/** Entries of a tombstones record. */
export class TombstoneRecordReader {
  ref = 0;
  /** Both inclusive, ms. */
  minTime = 0;
  maxTime = 0;
  readonly #reader = new ByteReader('tombstones record');

  reset(payload: Uint8Array): void {
    this.#reader.reset(payload, 0);
  }

  next(): boolean {
    if (this.#reader.remaining === 0) return false;
    this.ref = this.#reader.be64();
    this.minTime = this.#reader.varint();
    this.maxTime = this.#reader.varint();
    return true;
  }
}

/** Entries of a metadata record. */
export class MetadataRecordReader {
  ref = 0;
  /** 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, 6 info, 7 stateset. */
  metricType = 0;
  unit = '';
  help = '';
  /** The whole entry as it stands in the record. */
  entry: Uint8Array = new Uint8Array(0);
  readonly #reader = new ByteReader('metadata record');

  reset(payload: Uint8Array): void {
    this.#reader.reset(payload, 0);
  }

  next(): boolean {
    const reader = this.#reader;
    if (reader.remaining === 0) return false;
    const start = reader.position;
    this.ref = reader.uvarint();
    this.metricType = reader.u8();
    this.unit = '';
    this.help = '';
    for (let fields = reader.uvarint(); fields > 0; fields--) {
      const name = reader.string();
      const value = reader.string();
      if (name === 'UNIT') this.unit = value;
      else if (name === 'HELP') this.help = value;
    }
    this.entry = reader.bytes.subarray(start, reader.position);
    return true;
  }
}

/** Appends an entry to a series record. */
export function encodeSeriesEntry(out: ByteWriter, ref: number, labels: LabelSet): void {
  out.be64(ref);
  encodeLabels(out, labels);
}

/** Appends an entry to a tombstones record. */
export function encodeTombstoneEntry(out: ByteWriter, ref: number, minTime: number, maxTime: number): void {
  out.be64(ref);
  out.varint(minTime);
  out.varint(maxTime);
}

/** Appends an entry to a metadata record. */
export function encodeMetadataEntry(
  out: ByteWriter,
  ref: number,
  metricType: number,
  unit: string,
  help: string,
): void {
  out.uvarint(ref);
  out.u8(metricType);
  out.uvarint(2);
  out.string('UNIT');
  out.string(unit);
  out.string('HELP');
  out.string(help);
}

/** Appends labels: count, then names and values. */
export function encodeLabels(out: ByteWriter, labels: LabelSet): void {
  out.uvarint(labels.length);
  for (const label of labels) {
    out.string(label.name);
    out.string(label.value);
  }
}

function readLabels(reader: ByteReader): LabelSet {
  const labels = [];
  for (let count = reader.uvarint(); count > 0; count--) {
    labels.push({ name: reader.string(), value: reader.string() });
  }
  return labels;
}

function skipLabels(reader: ByteReader): void {
  for (let count = reader.uvarint() * 2; count > 0; count--) reader.skip(reader.uvarint());
}

function skipBody(reader: ByteReader, type: number): void {
  if (type === RECORD.samples) reader.skip(8);
  else if (type === RECORD.exemplars) {
    reader.skip(8);
    skipLabels(reader);
  } else skipHistogram(reader, type);
}

const FLOAT_TYPES: ReadonlySet<number> = new Set([
  RECORD.floatHistograms,
  RECORD.customFloatHistograms,
  RECORD.floatHistogramsV2,
]);

/** Passes over the histogram of a record of this type: its fields have no common length. */
export function skipHistogram(reader: ByteReader, type: number): void {
  const isFloat = FLOAT_TYPES.has(type);
  reader.skip(1);
  const schema = reader.varint();
  reader.skip(8);
  for (let i = 0; i < 2; i++) {
    if (isFloat) reader.skip(8);
    else reader.uvarint();
  }
  reader.skip(8);
  for (let i = 0; i < 2; i++) {
    for (let spans = reader.uvarint(); spans > 0; spans--) {
      reader.varint();
      reader.uvarint();
    }
  }
  for (let i = 0; i < 2; i++) {
    const buckets = reader.uvarint();
    if (isFloat) reader.skip(buckets * 8);
    else for (let left = buckets; left > 0; left--) reader.uvarint();
  }
  if (schema === CUSTOM_BUCKETS_SCHEMA) reader.skip(reader.uvarint() * 8);
}

/** A signed 64-bit time; beyond 2^53 rounded. */
function readInt64(reader: ByteReader): number {
  const hi = reader.be32() | 0;
  return hi * 0x1_0000_0000 + reader.be32();
}

function writeInt64(out: ByteWriter, value: number): void {
  out.be32(Math.floor(value / 0x1_0000_0000) >>> 0);
  out.be32(value >>> 0);
}
