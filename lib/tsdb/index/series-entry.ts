import { CorruptionError } from '../../errors/index.js';
import type { ByteReader } from './byte-reader.js';

/** One series of an index, decoded into reused columns. Valid until the next decode into the same entry. */
export class SeriesEntry {
  /** Pairs (name symbol, value symbol). */
  labels: Uint32Array = new Uint32Array(64);
  labelCount = 0;
  chunkCount = 0;
  /** First and last sample time, inclusive, ms. */
  chunkMinTimes: Float64Array = new Float64Array(16);
  chunkMaxTimes: Float64Array = new Float64Array(16);
  /** `segment * 2^32 + offset` of each chunk. */
  chunkRefs: Float64Array = new Float64Array(16);

  /** Makes room for chunks, keeping what is there. */
  ensureChunks(count: number): void {
    if (count <= this.chunkRefs.length) return;
    const capacity = Math.max(count, this.chunkRefs.length * 2);
    this.chunkMinTimes = grown(this.chunkMinTimes, capacity);
    this.chunkMaxTimes = grown(this.chunkMaxTimes, capacity);
    this.chunkRefs = grown(this.chunkRefs, capacity);
  }

  /** Decodes the body of a series entry (without length and CRC). */
  decode(reader: ByteReader): void {
    const labelCount = reader.uvarint();
    if (labelCount * 2 > reader.remaining) throw badCount(reader, 'labels', labelCount);
    if (labelCount * 2 > this.labels.length) this.labels = new Uint32Array(labelCount * 4);
    this.labelCount = labelCount;
    const labels = this.labels;
    for (let i = 0; i < labelCount * 2; i++) {
      const symbol = reader.uvarint();
      if (symbol > 0xffff_ffff) throw badCount(reader, 'symbols', symbol);
      labels[i] = symbol;
    }
    const chunkCount = reader.uvarint();
    if (chunkCount * 3 > reader.remaining) throw badCount(reader, 'chunks', chunkCount);
    this.chunkCount = chunkCount;
    this.ensureChunks(chunkCount);
    if (chunkCount === 0) return;
    let maxTime = reader.varint();
    let ref = 0;
    for (let i = 0; i < chunkCount; i++) {
      const minTime = i === 0 ? maxTime : maxTime + reader.uvarint();
      maxTime = minTime + reader.uvarint();
      ref += i === 0 ? reader.uvarint() : reader.varint();
      this.chunkMinTimes[i] = minTime;
      this.chunkMaxTimes[i] = maxTime;
      this.chunkRefs[i] = ref;
    }
    if (!Number.isSafeInteger(maxTime) || !Number.isSafeInteger(ref))
      throw badCount(reader, 'times', maxTime);
  }
}

function grown(column: Float64Array, capacity: number): Float64Array {
  const next = new Float64Array(capacity);
  next.set(column);
  return next;
}

function badCount(reader: ByteReader, what: string, found: number): CorruptionError {
  const offset = reader.base + reader.position;
  return new CorruptionError(
    'series-entry',
    `${reader.file}: series entry with impossible ${what} (${found}) before offset ${offset}`,
    { details: { file: reader.file, offset, found } },
  );
}
