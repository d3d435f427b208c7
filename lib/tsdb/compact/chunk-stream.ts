import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CorruptionError, VarveError } from '../../errors/index.js';
import {
  CHUNK_FRAME_BYTES,
  CHUNK_LENGTH_BYTES_MAX,
  CHUNKS_DIRECTORY,
  SEGMENT_HEADER_BYTES,
  SEGMENT_SCALE,
} from '../block/index.js';
import { AGGREGATE, decodeAggregateChunk, ENCODING } from '../chunk/index.js';
import { crc32c, crcMismatch, FileByteSource, readBe32 } from '../index/index.js';
import { FileWindow } from './file-window.js';

const WINDOW_BYTES = 1024 * 1024;
/** What a first look at a chunk asks for; nearly all are shorter. */
const FIRST_BYTES = 1024;

/**
 * Reads the chunks of a block in the order in which they stand, which is the order of its index. The fields describe
 * the chunk read last, until the next read.
 */
export class ChunkStream {
  readonly #directory: string;
  readonly #windows: readonly FileWindow[];
  /** Holds the chunk: bytes of a window. */
  bytes: Uint8Array;
  /** The chunk with its length, encoding byte and checksum. */
  frameStart: number;
  frameEnd: number;
  /** Its data, from the sample count on. */
  dataStart: number;
  dataEnd: number;
  encoding: number;
  sampleCount: number;

  private constructor(directory: string, windows: readonly FileWindow[]) {
    this.#directory = directory;
    this.#windows = windows;
    this.bytes = new Uint8Array(0);
    this.frameStart = 0;
    this.frameEnd = 0;
    this.dataStart = 0;
    this.dataEnd = 0;
    this.encoding = 0;
    this.sampleCount = 0;
  }

  /** Opens the segments of a block whose headers were checked. */
  static open(blockDirectory: string): ChunkStream {
    const directory = join(blockDirectory, CHUNKS_DIRECTORY);
    const names = readdirSync(directory)
      .filter((name) => /^\d+$/.test(name))
      .sort();
    const windows: FileWindow[] = [];
    try {
      // One buffer at a time is in use: the others are made when their segment's turn comes.
      for (const name of names) {
        windows.push(new FileWindow(new FileByteSource(join(directory, name), 0), 0));
      }
    } catch (error) {
      for (const window of windows) window.source.close();
      throw error;
    }
    return new ChunkStream(directory, windows);
  }

  get byteCount(): number {
    return this.#windows.reduce((sum, window) => sum + window.source.size, 0);
  }

  get bytesRead(): number {
    return this.#windows.reduce((sum, window) => sum + window.bytesRead, 0);
  }

  /** Data of the chunk read last, as a view. */
  data(): Uint8Array {
    return this.bytes.subarray(this.dataStart, this.dataEnd);
  }

  /** The chunk read last as it stands in the file, as a view. */
  frame(): Uint8Array {
    return this.bytes.subarray(this.frameStart, this.frameEnd);
  }

  close(): void {
    for (const window of this.#windows) window.source.close();
  }

  /**
   * Reads a chunk and checks its checksum.
   * @throws CorruptionError `chunk-ref`, `chunk-length`, `crc-mismatch`, `chunk-empty`, `file-truncated`
   * @throws VarveError unavailable `chunk-encoding-unsupported`
   */
  read(ref: number): void {
    const window = this.#window(ref);
    const offset = ref % SEGMENT_SCALE;
    const size = window.source.size;
    const at = window.locate(offset, Math.min(FIRST_BYTES, size - offset));
    let bytes = window.bytes;
    const readable = Math.min(bytes.length, at + window.available(offset));
    let position = at;
    let length = 0;
    let scale = 1;
    for (let i = 0; ; i++) {
      if (position >= readable || i === CHUNK_LENGTH_BYTES_MAX) throw badLength(window, offset, length);
      const byte = bytes[position++]!;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    const lengthBytes = position - at;
    const frameBytes = lengthBytes + length + CHUNK_FRAME_BYTES;
    if (offset + frameBytes > size) throw badLength(window, offset, length);
    const start = window.locate(offset, frameBytes);
    bytes = window.bytes;
    this.bytes = bytes;
    this.frameStart = start;
    this.frameEnd = start + frameBytes;
    this.dataStart = start + lengthBytes + 1;
    this.dataEnd = this.dataStart + length;
    this.encoding = bytes[this.dataStart - 1]!;
    const expected = readBe32(bytes, this.dataEnd);
    const found = crc32c(bytes, this.dataStart - 1, this.dataEnd);
    if (found !== expected) {
      throw crcMismatch(window.source.name, 'chunk', offset + frameBytes - 4, expected, found);
    }
    this.sampleCount = this.#countSamples();
    if (this.sampleCount === 0) throw emptyChunk(window, offset, this.encoding);
  }

  /** File and offset of a chunk, for errors of those who decode it. */
  place(ref: number): { readonly file: string; readonly offset: number } {
    const segment = Math.floor(ref / SEGMENT_SCALE);
    const file = this.#windows[segment]?.source.name ?? this.#directory;
    return { file, offset: ref % SEGMENT_SCALE };
  }

  #countSamples(): number {
    if (this.dataEnd - this.dataStart < 3) return 0;
    const word = (this.bytes[this.dataStart]! << 8) | this.bytes[this.dataStart + 1]!;
    switch (this.encoding) {
      case ENCODING.xor:
      case ENCODING.histogram:
      case ENCODING.floatHistogram:
      case ENCODING.xor2:
        return word;
      case ENCODING.histogramSt:
      case ENCODING.floatHistogramSt:
        return word & 0x3fff;
      case ENCODING.aggregate: {
        // As Thanos counts: the windows, which are the samples of the count.
        const count = decodeAggregateChunk(this.data())[AGGREGATE.count];
        return count == null || count.data.length < 2 ? 0 : (count.data[0]! << 8) | count.data[1]!;
      }
      default:
        throw new VarveError(
          'unavailable',
          'chunk-encoding-unsupported',
          `a chunk of encoding ${this.encoding} cannot be compacted`,
          { details: { encoding: this.encoding } },
        );
    }
  }

  #window(ref: number): FileWindow {
    const segment = Math.floor(ref / SEGMENT_SCALE);
    const offset = ref % SEGMENT_SCALE;
    const window = this.#windows[segment];
    if (window === undefined || offset < SEGMENT_HEADER_BYTES || offset >= window.source.size) {
      const file = window?.source.name ?? this.#directory;
      throw new CorruptionError(
        'chunk-ref',
        `${file}: chunk ref points to offset ${offset} of segment ${segment}, which does not exist`,
        { details: { file, offset, found: ref } },
      );
    }
    if (window.bytes.length === 0) {
      for (const other of this.#windows) if (other.bytes.length > 0) other.release();
      window.bytes = new Uint8Array(WINDOW_BYTES);
    }
    return window;
  }
}

function badLength(window: FileWindow, offset: number, length: number): CorruptionError {
  const { name, size } = window.source;
  return new CorruptionError(
    'chunk-length',
    `${name}: chunk at offset ${offset} of ${length} bytes does not fit the file of ${size}`,
    { details: { file: name, offset, expected: size - offset - CHUNK_FRAME_BYTES, found: length } },
  );
}

function emptyChunk(window: FileWindow, offset: number, encoding: number): CorruptionError {
  const file = window.source.name;
  return new CorruptionError('chunk-empty', `${file}: chunk at offset ${offset} has no samples`, {
    details: { file, offset, encoding },
  });
}
