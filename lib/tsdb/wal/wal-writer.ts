import { join } from 'node:path';
import { ByteWriter, crc32c, FileSink, fsyncDirectory } from '../index/index.js';
import { segmentName } from './directory.js';
import { FRAGMENT, FRAGMENT_HEADER_BYTES, PAGE_BYTES, SEGMENT_BYTES_MAX } from './format.js';

/**
 * Appends the fragments of one record, and the padding of the pages it fills, to `out`.
 * @param offset  where in the segment the record begins
 * @param flags   compression flag of the record's bytes, 0 for none
 */
export function encodeRecordPages(record: Uint8Array, offset: number, flags: number, out: ByteWriter): void {
  let inPage = offset % PAGE_BYTES;
  let done = 0;
  let isFirst = true;
  for (;;) {
    const length = Math.min(record.length - done, PAGE_BYTES - inPage - FRAGMENT_HEADER_BYTES);
    const isLast = done + length === record.length;
    let kind: number = isFirst ? FRAGMENT.first : FRAGMENT.middle;
    if (isLast) kind = isFirst ? FRAGMENT.full : FRAGMENT.last;
    out.u8(kind | flags);
    out.be16(length);
    out.be32(crc32c(record, done, done + length));
    out.raw(record.subarray(done, done + length));
    done += length;
    inPage += FRAGMENT_HEADER_BYTES + length;
    isFirst = false;
    if (PAGE_BYTES - inPage < FRAGMENT_HEADER_BYTES) {
      out.zeros(PAGE_BYTES - inPage);
      inPage = 0;
    }
    if (isLast) return;
  }
}

/** Most bytes of record that still fit into a segment of which `offset` bytes are written. */
export function segmentRoom(offset: number, segmentBytesMax: number): number {
  const pagesLeft = Math.floor(segmentBytesMax / PAGE_BYTES) - Math.floor(offset / PAGE_BYTES) - 1;
  return (
    PAGE_BYTES -
    (offset % PAGE_BYTES) -
    FRAGMENT_HEADER_BYTES +
    (PAGE_BYTES - FRAGMENT_HEADER_BYTES) * pagesLeft
  );
}

/** Writes a log that nobody waits for: checkpoints, copies, tests. Synced when it is finished. */
export class WalWriter {
  readonly #directory: string;
  readonly #segmentBytesMax: number;
  readonly #frame: ByteWriter;
  #number: number;
  #sink: FileSink | null;

  /** Starts with the segment of that number, which must not exist. */
  constructor(directory: string, firstSegment = 0, segmentBytesMax: number = SEGMENT_BYTES_MAX) {
    this.#directory = directory;
    this.#segmentBytesMax = segmentBytesMax;
    this.#frame = new ByteWriter(2 * PAGE_BYTES);
    this.#number = firstSegment;
    this.#sink = new FileSink(join(directory, segmentName(firstSegment)));
  }

  /** Appends a record (with its type byte). A record never crosses segments. */
  append(record: Uint8Array, flags = 0): void {
    let sink = this.#sink!;
    if (record.length > segmentRoom(sink.position, this.#segmentBytesMax) && sink.position > 0) {
      this.#closeSegment();
      this.#number++;
      sink = new FileSink(join(this.#directory, segmentName(this.#number)));
      this.#sink = sink;
    }
    this.#frame.clear();
    encodeRecordPages(record, sink.position, flags, this.#frame);
    sink.write(this.#frame.view());
  }

  /** Pads, fsyncs and closes. */
  finish(): void {
    this.#closeSegment();
    fsyncDirectory(this.#directory);
  }

  /** Closes without padding or syncing. */
  abort(): void {
    this.#sink?.close();
    this.#sink = null;
  }

  #closeSegment(): void {
    this.#sink?.align(PAGE_BYTES);
    this.#sink?.finish();
    this.#sink = null;
  }
}
