import { CorruptionError } from '../errors/index.js';
import type { ChunkArena } from '../storage/index.js';
import {
  type BlockLoader,
  type BlockMeta,
  type BlockView,
  ChunkReader,
  type CopiedChunks,
  SEGMENT_SCALE,
  type Tombstones,
} from '../tsdb/block/index.js';
import { type IndexReader, type ListRange, readBe32, SERIES_ALIGNMENT } from '../tsdb/index/index.js';
import type { IndexHeader } from './index-header.js';
import { ObjectPages, type PageAccess } from './object-pages.js';
import type { BlockCaches } from './page-cache.js';
import type { QueryReads } from './query-reads.js';
import type { RangeFetcher } from './range-fetcher.js';

/** What a series that may turn out not to be wanted costs, in bytes of postings that could rule it out. */
const SERIES_BYTES = 128;
/** First guess at the length of a series entry; longer ones take a second request. */
const SERIES_GUESS_BYTES = 1024;
/** Bytes that surely hold the length of a chunk or a series entry. */
const LENGTH_BYTES_MAX = 10;
/** A chunk that claims more than this is damaged. */
const CHUNK_BYTES_MAX = 64 * 1024 * 1024;
/** Chunks are copied in groups whose pages take about this much memory, the next one being fetched meanwhile. */
const GROUP_BYTES = 8 * 1024 * 1024;

/** A segment of chunks in the bucket. */
export interface Segment {
  readonly object: string;
  /** Null when it isn't known. */
  readonly byteCount: number | null;
}

/** What the views of one block share. */
export interface BlockParts {
  readonly meta: BlockMeta;
  readonly indexObject: string;
  readonly header: IndexHeader;
  readonly segments: readonly Segment[];
  /** First guess at the length of a chunk. */
  readonly chunkGuessBytes: number;
  readonly fetcher: RangeFetcher;
  readonly caches: BlockCaches;
}

/** Chunks of one segment that are fetched together. */
interface Group {
  readonly from: number;
  readonly to: number;
  readonly pages: ObjectPages;
}

/** A block in a bucket as one select sees it: what it reads is fetched before, whole, in few requests. */
export class BucketView implements BlockView, BlockLoader {
  readonly meta: BlockMeta;
  readonly index: IndexReader;
  /** Blocks in buckets have none of their own. */
  readonly tombstones: Tombstones = new Map();
  readonly loader: BlockLoader = this;
  readonly seriesBytes = SERIES_BYTES;
  readonly #parts: BlockParts;
  readonly #pages: ObjectPages;
  readonly #postings: PageAccess;
  readonly #series: PageAccess;
  readonly #chunks: PageAccess;

  constructor(parts: BlockParts, reads: QueryReads) {
    const { fetcher, caches, header } = parts;
    this.meta = parts.meta;
    this.#parts = parts;
    this.#pages = new ObjectPages(parts.indexObject, header.indexBytes, caches.postings.pageBytes);
    this.index = header.reader.over(this.#pages);
    this.#postings = { fetcher, cache: caches.postings, reads, kind: 'postings' };
    this.#series = { fetcher, cache: caches.series, reads, kind: 'series' };
    this.#chunks = { fetcher, cache: caches.chunks, reads, kind: 'chunks' };
  }

  async postings(lists: readonly ListRange[]): Promise<void> {
    const { indexBytes } = this.#parts.header;
    const all = this.index.postingsTable.find('', '');
    // No list is longer than that of all series; ends are only what the order of the table suggests.
    const longest = all === null ? 0 : all.end - all.offset;
    const ranges: number[] = [];
    for (const { offset, end } of lists) {
      if (offset + 12 > indexBytes) throw this.#badList(offset, indexBytes - offset);
      ranges.push(offset, end >= offset + 12 && end - offset <= longest ? end : offset + 12);
    }
    await this.#pages.load(ranges, this.#postings);
    const longer: number[] = [];
    for (const { offset } of lists) {
      const length = readBe32(this.#pages.read(offset, 4), 0) + 8;
      if (offset + length > indexBytes) throw this.#badList(offset, length);
      if (!this.#pages.holds(offset, length)) longer.push(offset, offset + length);
    }
    await this.#pages.load(longer, this.#postings);
  }

  async series(refs: Uint32Array): Promise<void> {
    this.#pages.clear();
    const { series, postings } = this.index.toc;
    const ranges: number[] = [];
    for (const ref of refs) {
      const offset = ref * SERIES_ALIGNMENT;
      // The index reader complains about refs that lead elsewhere.
      if (offset >= series && offset < postings) {
        ranges.push(offset, Math.min(offset + SERIES_GUESS_BYTES, postings));
      }
    }
    await this.#pages.load(ranges, this.#series);
    const longer: number[] = [];
    for (let i = 0; i < ranges.length; i += 2) {
      const offset = ranges[i]!;
      const { length, prefix } = lengthAt(this.#pages, offset);
      const byteCount = prefix + length + 4;
      if (offset + byteCount > postings || this.#pages.holds(offset, byteCount)) continue;
      longer.push(offset, offset + byteCount);
    }
    await this.#pages.load(longer, this.#series);
  }

  async copyChunks(refs: Float64Array, count: number, arena: ChunkArena): Promise<CopiedChunks> {
    const copied: CopiedChunks = {
      addresses: new Uint32Array(count),
      byteLengths: new Uint32Array(count),
      encodings: new Uint8Array(count),
    };
    if (count === 0) return copied;
    let group = this.#groupFrom(refs, 0, count);
    let loading = this.#loadGroup(refs, group, copied);
    for (;;) {
      await loading;
      if (group.to === count) break;
      const next = this.#groupFrom(refs, group.to, count);
      loading = this.#loadGroup(refs, next, copied);
      // What it fails with is thrown when its turn comes, unless this group fails first.
      loading.catch(() => {});
      copyGroup(refs, group, copied, arena);
      group = next;
    }
    copyGroup(refs, group, copied, arena);
    return copied;
  }

  #groupFrom(refs: Float64Array, from: number, count: number): Group {
    const first = refs[from]!;
    const segment = this.#parts.segments[Math.floor(first / SEGMENT_SCALE)];
    if (segment === undefined) {
      const file = `${this.meta.ulid}: segment ${Math.floor(first / SEGMENT_SCALE)}`;
      throw new CorruptionError('chunk-ref', `${file}: chunk ref points to a segment that does not exist`, {
        details: { object: this.#parts.indexObject, found: first },
      });
    }
    const { pageBytes } = this.#chunks.cache;
    const segmentEnd = (Math.floor(first / SEGMENT_SCALE) + 1) * SEGMENT_SCALE;
    const apart = pageBytes + this.#parts.chunkGuessBytes;
    let to = from + 1;
    for (let byteCount = apart; to < count && byteCount < GROUP_BYTES; to++) {
      const ref = refs[to]!;
      if (ref < first || ref >= segmentEnd) break;
      byteCount += Math.min(Math.abs(ref - refs[to - 1]!), apart);
    }
    return { from, to, pages: new ObjectPages(segment.object, segment.byteCount, pageBytes) };
  }

  /** Fetches the chunks of a group whole and notes how long they are. */
  async #loadGroup(refs: Float64Array, { from, to, pages }: Group, copied: CopiedChunks): Promise<void> {
    const guess = this.#parts.chunkGuessBytes;
    const ranges: number[] = [];
    for (let i = from; i < to; i++) {
      const offset = refs[i]! % SEGMENT_SCALE;
      const distance = i + 1 < to ? refs[i + 1]! - refs[i]! : guess;
      ranges.push(offset, offset + (distance > 0 && distance < guess ? distance : guess));
    }
    await pages.load(ranges, this.#chunks);
    const longer: number[] = [];
    for (let i = from; i < to; i++) {
      const offset = refs[i]! % SEGMENT_SCALE;
      const { length, prefix } = lengthAt(pages, offset);
      if (length > CHUNK_BYTES_MAX) throw badChunk(pages.name, offset, length);
      copied.byteLengths[i] = length;
      const byteCount = prefix + 1 + length + 4;
      if (!pages.holds(offset, byteCount)) longer.push(offset, offset + byteCount);
    }
    await pages.load(longer, this.#chunks);
  }

  #badList(offset: number, found: number): CorruptionError {
    const { indexObject, header } = this.#parts;
    return new CorruptionError(
      'postings-length',
      `${indexObject}: postings at offset ${offset} of ${found} bytes do not fit the index of ${header.indexBytes}`,
      { details: { object: indexObject, offset, expected: header.indexBytes - offset, found } },
    );
  }
}

/** Verifies the chunks of a loaded group and copies them into an arena. */
function copyGroup(
  refs: Float64Array,
  { from, to, pages }: Group,
  copied: CopiedChunks,
  arena: ChunkArena,
): void {
  let total = 0;
  for (let i = from; i < to; i++) total += align8(copied.byteLengths[i]!);
  const reader = new ChunkReader([pages]);
  let address = arena.reserve(total);
  const memory = arena.bytes();
  for (let i = from; i < to; i++) {
    const { encoding, data } = reader.read(refs[i]! % SEGMENT_SCALE);
    memory.set(data, address);
    copied.addresses[i] = address;
    copied.encodings[i] = encoding;
    address += align8(data.length);
  }
}

/** The uvarint at an offset of loaded pages, and how many bytes it takes. */
function lengthAt(pages: ObjectPages, offset: number): { length: number; prefix: number } {
  const bytes = pages.readUpTo(offset, LENGTH_BYTES_MAX);
  let length = 0;
  let scale = 1;
  for (let i = 0; i < bytes.length; i++) {
    length += (bytes[i]! & 0x7f) * scale;
    if (bytes[i]! < 0x80) return { length, prefix: i + 1 };
    scale *= 128;
  }
  throw badChunk(pages.name, offset, length);
}

function badChunk(object: string, offset: number, found: number): CorruptionError {
  return new CorruptionError('entry-length', `${object}: the length at offset ${offset} is damaged`, {
    details: { object, offset, found },
  });
}

function align8(byteCount: number): number {
  return (byteCount + 7) & ~7;
}
