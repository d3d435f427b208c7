import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CorruptionError } from '../../errors/index.js';
import type { ChunkArena } from '../../storage/index.js';
import { type ByteSource, crc32c, crcMismatch, FileByteSource, readBe32 } from '../index/index.js';
import {
  CHUNK_FRAME_BYTES,
  CHUNK_LENGTH_BYTES_MAX,
  CHUNK_MAGIC,
  CHUNK_VERSION,
  SEGMENT_HEADER_BYTES,
  SEGMENT_SCALE,
} from './chunk-format.js';

/** Chunks this near to one another are read together: copying the gap is cheaper than another read. */
const GAP_BYTES_MAX = 32 * 1024;
const RUN_BYTES_MAX = 1024 * 1024;
/** The index does not say how long a chunk is; the last one of a run is hoped to be no longer than this. */
const TAIL_BYTES = 1280;

/** One chunk read from a segment. `data` is a view that the next read may overwrite. */
export interface ReadChunk {
  readonly encoding: number;
  readonly data: Uint8Array;
  /** Ref of the byte behind the chunk. */
  readonly end: number;
}

/** Where chunks ended up in an arena, by the number of the chunk in the request. */
export interface CopiedChunks {
  readonly addresses: Uint32Array;
  readonly byteLengths: Uint32Array;
  readonly encodings: Uint8Array;
}

/** Reads chunks of one block by their refs; every checksum is verified. */
export class ChunkReader {
  readonly #segments: readonly ByteSource[];
  /** Of the chunk parsed last. */
  #dataStart: number;
  #dataEnd: number;
  #starts: Uint32Array;
  /** Holds one run; kept, since fresh large buffers cost more in page faults than the read itself. */
  #buffer: Uint8Array;

  constructor(segments: readonly ByteSource[]) {
    this.#segments = segments;
    this.#dataStart = 0;
    this.#dataEnd = 0;
    this.#starts = new Uint32Array(256);
    this.#buffer = new Uint8Array(0);
  }

  /** Opens the segments of a `chunks` directory and checks their headers. */
  static open(directory: string): ChunkReader {
    const names = readdirSync(directory)
      .filter((name) => /^\d+$/.test(name))
      .sort();
    const segments: ByteSource[] = [];
    try {
      for (const name of names) {
        const segment = new FileByteSource(join(directory, name), 0);
        segments.push(segment);
        const header = segment.read(0, SEGMENT_HEADER_BYTES);
        const magic = readBe32(header, 0);
        if (magic !== CHUNK_MAGIC || header[4] !== CHUNK_VERSION) {
          throw new CorruptionError(
            'chunk-segment-header',
            `${segment.name}: magic ${magic.toString(16)} version ${header[4]} is not a chunk segment`,
            {
              details: {
                file: segment.name,
                offset: 0,
                expected: CHUNK_MAGIC.toString(16),
                found: magic.toString(16),
              },
            },
          );
        }
      }
    } catch (error) {
      for (const segment of segments) segment.close();
      throw error;
    }
    return new ChunkReader(segments);
  }

  /** Sizes of the segments, for the check of a whole block. */
  get segmentSizes(): readonly number[] {
    return this.#segments.map((segment) => segment.size);
  }

  close(): void {
    for (const segment of this.#segments) segment.close();
  }

  /** Reads one chunk. */
  read(ref: number): ReadChunk {
    const segment = this.#segment(ref);
    const offset = ref % SEGMENT_SCALE;
    let bytes = segment.readUpTo(offset, TAIL_BYTES);
    const encoding = this.#locate(segment, bytes, 0, offset);
    if (this.#dataEnd + 4 > bytes.length) bytes = segment.read(offset, this.#dataEnd + 4);
    this.#checkCrc(segment, bytes, offset);
    return {
      encoding,
      data: bytes.subarray(this.#dataStart, this.#dataEnd),
      end: ref + this.#dataEnd + 4,
    };
  }

  /**
   * Copies chunks into an arena. Refs should ascend, as they do in label order: neighbours are then read together.
   * @param refs the first `count` are read
   */
  copy(refs: Float64Array, count: number, arena: ChunkArena): CopiedChunks {
    const copied: CopiedChunks = {
      addresses: new Uint32Array(count),
      byteLengths: new Uint32Array(count),
      encodings: new Uint8Array(count),
    };
    let from = 0;
    while (from < count) {
      const first = refs[from]!;
      const segmentEnd = (Math.floor(first / SEGMENT_SCALE) + 1) * SEGMENT_SCALE;
      let to = from + 1;
      while (to < count) {
        const ref = refs[to]!;
        const before = refs[to - 1]!;
        if (ref < before || ref - before > GAP_BYTES_MAX || ref - first > RUN_BYTES_MAX || ref >= segmentEnd)
          break;
        to++;
      }
      this.#copyRun(refs, from, to, arena, copied);
      from = to;
    }
    return copied;
  }

  #copyRun(refs: Float64Array, from: number, to: number, arena: ChunkArena, copied: CopiedChunks): void {
    const first = refs[from]!;
    const segment = this.#segment(first);
    const base = first % SEGMENT_SCALE;
    const wanted = refs[to - 1]! - first + TAIL_BYTES;
    let bytes = this.#readRun(segment, base, Math.min(wanted, segment.size - base));
    if (to - from > this.#starts.length) this.#starts = new Uint32Array((to - from) * 2);
    const starts = this.#starts;
    let total = 0;
    for (let i = from; i < to; i++) {
      copied.encodings[i] = this.#locate(segment, bytes, refs[i]! - first, base);
      if (this.#dataEnd + 4 > bytes.length) bytes = this.#readRun(segment, base, this.#dataEnd + 4);
      this.#checkCrc(segment, bytes, base);
      const length = this.#dataEnd - this.#dataStart;
      starts[i - from] = this.#dataStart;
      copied.byteLengths[i] = length;
      total += align8(length);
    }
    let address = arena.reserve(total);
    const memory = arena.bytes();
    for (let i = from; i < to; i++) {
      const start = starts[i - from]!;
      const length = copied.byteLengths[i]!;
      memory.set(bytes.subarray(start, start + length), address);
      copied.addresses[i] = address;
      address += align8(length);
    }
  }

  #readRun(segment: ByteSource, base: number, byteCount: number): Uint8Array {
    if (byteCount > this.#buffer.length) {
      this.#buffer = new Uint8Array(Math.max(byteCount, 2 * this.#buffer.length, 64 * 1024));
    }
    const bytes = this.#buffer.subarray(0, byteCount);
    segment.readInto(bytes, base);
    return bytes;
  }

  /** Finds the data of the chunk at a place in `bytes` and checks that it lies in the file. Returns the encoding. */
  #locate(segment: ByteSource, bytes: Uint8Array, at: number, base: number): number {
    let length = 0;
    let scale = 1;
    let position = at;
    for (let i = 0; ; i++) {
      const byte = bytes[position];
      if (byte === undefined || i === CHUNK_LENGTH_BYTES_MAX) throw badChunk(segment, base + at, length);
      position++;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    if (position >= bytes.length || base + position + 1 + length + 4 > segment.size) {
      throw badChunk(segment, base + at, length);
    }
    this.#dataStart = position + 1;
    this.#dataEnd = position + 1 + length;
    return bytes[position]!;
  }

  #checkCrc(segment: ByteSource, bytes: Uint8Array, base: number): void {
    const expected = readBe32(bytes, this.#dataEnd);
    const found = crc32c(bytes, this.#dataStart - 1, this.#dataEnd);
    if (found !== expected) throw crcMismatch(segment.name, 'chunk', base + this.#dataEnd, expected, found);
  }

  #segment(ref: number): ByteSource {
    const segment = this.#segments[Math.floor(ref / SEGMENT_SCALE)];
    const offset = ref % SEGMENT_SCALE;
    if (segment === undefined || offset < SEGMENT_HEADER_BYTES || offset >= segment.size) {
      const file = segment?.name ?? `segment ${Math.floor(ref / SEGMENT_SCALE)}`;
      throw new CorruptionError(
        'chunk-ref',
        `${file}: chunk ref points to offset ${offset}, which does not exist`,
        {
          details: { file, offset, found: ref },
        },
      );
    }
    return segment;
  }
}

function align8(byteCount: number): number {
  return (byteCount + 7) & ~7;
}

function badChunk(segment: ByteSource, offset: number, length: number): CorruptionError {
  return new CorruptionError(
    'chunk-length',
    `${segment.name}: chunk at offset ${offset} of ${length} bytes does not fit the file of ${segment.size}`,
    {
      details: {
        file: segment.name,
        offset,
        expected: segment.size - offset - CHUNK_FRAME_BYTES,
        found: length,
      },
    },
  );
}
