import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter, crc32c, FileSink, fsyncDirectory } from '../index/index.js';
import {
  CHUNK_FRAME_BYTES,
  CHUNK_LENGTH_BYTES_MAX,
  CHUNK_MAGIC,
  CHUNK_VERSION,
  SEGMENT_BYTES_MAX,
  SEGMENT_HEADER_BYTES,
  SEGMENT_SCALE,
} from './chunk-format.js';

/** Writes chunks one behind the other into segment files of limited size. */
export class ChunkWriter {
  readonly #directory: string;
  readonly #segmentBytesMax: number;
  readonly #frame: ByteWriter;
  #sink: FileSink | null;
  #segmentCount: number;
  #bytesBefore: number;

  /** Creates the directory. */
  constructor(directory: string, segmentBytesMax: number = SEGMENT_BYTES_MAX) {
    this.#directory = directory;
    this.#segmentBytesMax = segmentBytesMax;
    this.#frame = new ByteWriter(16);
    this.#sink = null;
    this.#segmentCount = 0;
    this.#bytesBefore = 0;
    mkdirSync(directory);
  }

  /** Bytes of all segments so far. */
  get byteCount(): number {
    return this.#bytesBefore + (this.#sink?.position ?? 0);
  }

  /** Appends a chunk and returns its ref. The data is copied. */
  write(encoding: number, data: Uint8Array): number {
    const sink = this.#sinkFor(data.length);
    const ref = (this.#segmentCount - 1) * SEGMENT_SCALE + sink.position;
    const frame = this.#frame;
    frame.clear();
    frame.uvarint(data.length);
    const encodingAt = frame.length;
    frame.u8(encoding);
    const crc = crc32c(data, 0, data.length, crc32c(frame.bytes, encodingAt, frame.length));
    sink.write(frame.view());
    sink.write(data);
    frame.clear();
    frame.be32(crc);
    sink.write(frame.view());
    return ref;
  }

  /**
   * Appends a chunk as it stands in another segment, with its length, encoding byte and checksum, and returns its ref.
   * @param dataBytes length of the data inside
   */
  writeFrame(frame: Uint8Array, dataBytes: number): number {
    const sink = this.#sinkFor(dataBytes);
    const ref = (this.#segmentCount - 1) * SEGMENT_SCALE + sink.position;
    sink.write(frame);
    return ref;
  }

  /** Fsyncs the last segment and the directory. */
  finish(): void {
    this.#bytesBefore = this.byteCount;
    this.#sink?.finish();
    this.#sink = null;
    fsyncDirectory(this.#directory);
  }

  /** Closes without syncing. */
  abort(): void {
    this.#sink?.close();
    this.#sink = null;
  }

  /** The open segment, or the next one when a chunk might not fit. */
  #sinkFor(dataBytes: number): FileSink {
    const sink = this.#sink;
    const worstBytes = CHUNK_LENGTH_BYTES_MAX + CHUNK_FRAME_BYTES + dataBytes;
    const isRoom =
      sink !== null &&
      (sink.position + worstBytes <= this.#segmentBytesMax || sink.position <= SEGMENT_HEADER_BYTES);
    return isRoom ? sink : this.#startSegment();
  }

  #startSegment(): FileSink {
    if (this.#sink !== null) {
      this.#bytesBefore += this.#sink.position;
      this.#sink.finish();
    }
    this.#segmentCount++;
    const sink = new FileSink(join(this.#directory, String(this.#segmentCount).padStart(6, '0')));
    this.#sink = sink;
    const frame = this.#frame;
    frame.clear();
    frame.be32(CHUNK_MAGIC);
    frame.u8(CHUNK_VERSION);
    frame.zeros(3);
    sink.write(frame.view());
    return sink;
  }
}
