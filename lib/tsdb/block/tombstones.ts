import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CorruptionError } from '../../errors/index.js';
import { ByteReader, ByteWriter, crc32c, crcMismatch } from '../index/index.js';
import { writeFileSynced } from './meta.js';

const MAGIC = 0x0130_ba30;
const VERSION = 1;
const HEADER_BYTES = 5;
export const TOMBSTONES_FILE = 'tombstones';

/** A deleted span of one series, both ends inclusive, ms. */
export interface Interval {
  readonly minTime: number;
  readonly maxTime: number;
}

/** Deleted spans by series ref; the spans of a series are sorted and apart. */
export type Tombstones = Map<number, Interval[]>;

/** Adds a span, merging it with those it overlaps or touches. */
export function addInterval(intervals: readonly Interval[], added: Interval): Interval[] {
  let { minTime, maxTime } = added;
  const before: Interval[] = [];
  const after: Interval[] = [];
  for (const interval of intervals) {
    if (interval.maxTime < minTime - 1) before.push(interval);
    else if (interval.minTime > maxTime + 1) after.push(interval);
    else {
      minTime = Math.min(minTime, interval.minTime);
      maxTime = Math.max(maxTime, interval.maxTime);
    }
  }
  return [...before, { minTime, maxTime }, ...after];
}

/** Decodes a tombstones file. @throws CorruptionError. */
export function parseTombstones(bytes: Uint8Array, file: string): Tombstones {
  const header = new ByteReader(file, bytes);
  const magic = header.be32();
  const version = header.u8();
  if (magic !== MAGIC || version !== VERSION) {
    throw new CorruptionError(
      'tombstones-header',
      `${file}: magic ${magic.toString(16)} version ${version}`,
      {
        details: { file, offset: 0, expected: MAGIC.toString(16), found: magic.toString(16) },
      },
    );
  }
  header.position = Math.max(HEADER_BYTES, bytes.length - 4);
  const expected = header.be32();
  const found = crc32c(bytes, HEADER_BYTES, bytes.length - 4);
  if (found !== expected) throw crcMismatch(file, 'tombstones', bytes.length - 4, expected, found);
  const stones: Tombstones = new Map();
  const reader = new ByteReader(file, bytes.subarray(HEADER_BYTES, bytes.length - 4), HEADER_BYTES);
  while (reader.remaining > 0) {
    const ref = reader.uvarint();
    const interval = { minTime: reader.varint(), maxTime: reader.varint() };
    stones.set(ref, addInterval(stones.get(ref) ?? [], interval));
  }
  return stones;
}

/** Encodes a tombstones file. Its checksum covers the stones only, neither magic nor version. */
export function encodeTombstones(stones: Tombstones): Uint8Array {
  const out = new ByteWriter();
  out.be32(MAGIC);
  out.u8(VERSION);
  for (const [ref, intervals] of [...stones].sort((a, b) => a[0] - b[0])) {
    for (const interval of intervals) {
      out.uvarint(ref);
      out.varint(interval.minTime);
      out.varint(interval.maxTime);
    }
  }
  out.be32(crc32c(out.bytes, HEADER_BYTES, out.length));
  return out.view();
}

/** Reads the tombstones of a block directory; a missing file means none. */
export function readTombstones(directory: string): Tombstones {
  const file = join(directory, TOMBSTONES_FILE);
  return existsSync(file) ? parseTombstones(readFileSync(file), file) : new Map();
}

/** Writes and fsyncs the tombstones of a block directory. */
export function writeTombstones(directory: string, stones: Tombstones): void {
  writeFileSynced(join(directory, TOMBSTONES_FILE), encodeTombstones(stones));
}
