import { CorruptionError, VarveError } from '../errors/index.js';
import { type ByteSource, truncated } from '../tsdb/index/index.js';
import type { PageCache } from './page-cache.js';
import type { QueryReads, ReadKind } from './query-reads.js';
import type { RangeFetcher } from './range-fetcher.js';

/** The size of an object that nobody has told. */
const UNKNOWN_SIZE = Number.MAX_SAFE_INTEGER;

/** Where an object is read from and on whose account. */
export interface PageAccess {
  readonly fetcher: RangeFetcher;
  readonly cache: PageCache;
  readonly reads: QueryReads;
  readonly kind: ReadKind;
}

/** Pages that are fetched by one request: first and last. */
interface Run {
  readonly first: number;
  last: number;
}

/**
 * An object of a bucket as a source of bytes, of which only the pages that were loaded can be read. Belongs to one
 * select; pages stay until it is dropped or cleared, whatever the cache does.
 */
export class ObjectPages implements ByteSource {
  readonly name: string;
  readonly #isSizeKnown: boolean;
  readonly #pageBytes: number;
  readonly #pages: Map<number, Uint8Array>;
  #size: number;
  #lastIndex: number;
  #lastPage: Uint8Array;

  /** @param size null when it isn't known: the object ends where it turns out to end */
  constructor(name: string, size: number | null, pageBytes: number) {
    this.name = name;
    this.#isSizeKnown = size !== null;
    this.#size = size ?? UNKNOWN_SIZE;
    this.#pageBytes = pageBytes;
    this.#pages = new Map();
    this.#lastIndex = -1;
    this.#lastPage = new Uint8Array(0);
  }

  /** As far as known: an object of unknown size is larger than any until its end was met. */
  get size(): number {
    return this.#size;
  }

  /**
   * Makes ranges readable.
   * @param ranges offset and end in turn, in any order; what lies behind the end of the object is passed over
   * @throws VarveError `max-fetched-bytes`, what the bucket throws, or CorruptionError `object-truncated`
   */
  async load(ranges: readonly number[], { fetcher, cache, reads, kind }: PageAccess): Promise<void> {
    const asked = new Set<number>();
    /** Pages that another select of the query is fetching. */
    const flying = new Map<number, Promise<Uint8Array>>();
    let latest = -1;
    for (let i = 0; i < ranges.length; i += 2) {
      const end = Math.min(ranges[i + 1]!, this.#size);
      const last = Math.floor((end - 1) / this.#pageBytes);
      for (let page = Math.floor(ranges[i]! / this.#pageBytes); page <= last; page++) {
        if (page === latest || this.#pages.has(page)) continue;
        latest = page;
        if (asked.has(page) || flying.has(page)) continue;
        const cached = cache.get(this.name, page);
        const coming = cached === undefined ? cache.flying(this.name, page) : undefined;
        if (coming !== undefined) flying.set(page, coming);
        else if (cached === undefined) asked.add(page);
        else this.#pages.set(page, cached);
        if (cached !== undefined || coming !== undefined) reads.counts[kind].pageHits++;
      }
    }
    reads.counts[kind].pageMisses += asked.size;
    await Promise.all([this.#fetch(asked, { fetcher, cache, reads, kind }), this.#await(flying)]);
  }

  async #await(flying: ReadonlyMap<number, Promise<Uint8Array>>): Promise<void> {
    await Promise.all([...flying].map(async ([page, bytes]) => this.#pages.set(page, await bytes)));
  }

  async #fetch(asked: ReadonlySet<number>, { fetcher, cache, reads, kind }: PageAccess): Promise<void> {
    if (asked.size === 0) return;
    const runs = this.#runsOf(
      [...asked].sort((a, b) => a - b),
      fetcher,
    );
    let byteCount = 0;
    for (const run of runs) byteCount += this.#endOf(run) - run.first * this.#pageBytes;
    reads.charge(byteCount);
    await Promise.all(
      runs.map(async (run) => {
        const offset = run.first * this.#pageBytes;
        const length = this.#endOf(run) - offset;
        const kept = fetcher
          .fetch(this.name, offset, length, reads, kind)
          .then((bytes) => this.#keep(run, asked, bytes, cache));
        for (let page = run.first; page <= run.last; page++) {
          if (asked.has(page))
            cache.fly(
              this.name,
              page,
              kept.then(() => this.#pages.get(page)!),
            );
        }
        await kept;
      }),
    );
  }

  /** Whether a range was loaded, as far as the object has it. */
  holds(offset: number, length: number): boolean {
    const last = Math.floor((Math.min(offset + length, this.#size) - 1) / this.#pageBytes);
    for (let page = Math.floor(offset / this.#pageBytes); page <= last; page++) {
      if (!this.#pages.has(page)) return false;
    }
    return true;
  }

  read(offset: number, length: number): Uint8Array {
    const index = Math.floor(offset / this.#pageBytes);
    const inPage = offset - index * this.#pageBytes;
    const page = this.#page(index);
    if (inPage + length <= page.length) return page.subarray(inPage, inPage + length);
    const assembled = new Uint8Array(length);
    this.readInto(assembled, offset);
    return assembled;
  }

  readUpTo(offset: number, lengthMax: number): Uint8Array {
    const index = Math.floor(offset / this.#pageBytes);
    const inPage = offset - index * this.#pageBytes;
    const page = this.#page(index);
    if (inPage + lengthMax <= page.length) return page.subarray(inPage, inPage + lengthMax);
    const next = this.#pages.get(index + 1);
    const here = page.subarray(inPage);
    if (next !== undefined && page.length === this.#pageBytes) {
      return Buffer.concat([here, next.subarray(0, lengthMax - here.length)]);
    }
    if (here.length === 0) throw truncated(this.name, offset, 1, 0);
    return here;
  }

  readInto(into: Uint8Array, offset: number): void {
    let filled = 0;
    while (filled < into.length) {
      const index = Math.floor((offset + filled) / this.#pageBytes);
      const from = offset + filled - index * this.#pageBytes;
      const part = this.#page(index).subarray(from, from + into.length - filled);
      if (part.length === 0) throw truncated(this.name, offset, into.length, filled);
      into.set(part, filled);
      filled += part.length;
    }
  }

  /** Forgets what was loaded. */
  clear(): void {
    this.#pages.clear();
    this.#lastIndex = -1;
  }

  close(): void {
    this.clear();
  }

  #page(index: number): Uint8Array {
    if (index === this.#lastIndex) return this.#lastPage;
    const page = this.#pages.get(index);
    if (page === undefined) {
      const offset = index * this.#pageBytes;
      if (offset >= this.#size) throw truncated(this.name, offset, 1, 0);
      throw new VarveError('internal', 'page-not-loaded', `${this.name}: offset ${offset} was not loaded`);
    }
    this.#lastIndex = index;
    this.#lastPage = page;
    return page;
  }

  /** Joins pages, given in ascending order, to requests. */
  #runsOf(pages: readonly number[], { options }: RangeFetcher): Run[] {
    const gapPages = Math.floor(options.gapBytesMax / this.#pageBytes);
    const runPages = Math.max(1, Math.floor(options.partBytes / this.#pageBytes));
    const runs: Run[] = [];
    let run: Run | null = null;
    for (const page of pages) {
      if (run !== null && page - run.last - 1 <= gapPages && page - run.first < runPages) run.last = page;
      else runs.push((run = { first: page, last: page }));
    }
    return runs;
  }

  #endOf(run: Run): number {
    return Math.min((run.last + 1) * this.#pageBytes, this.#size);
  }

  /** Takes the wanted pages out of an answer. They are copied, so that the gaps between them don't stay in memory. */
  #keep(run: Run, wanted: ReadonlySet<number>, bytes: Uint8Array, cache: PageCache): void {
    const offset = run.first * this.#pageBytes;
    const end = offset + bytes.length;
    if (end < this.#endOf(run)) {
      if (this.#isSizeKnown) {
        throw new CorruptionError(
          'object-truncated',
          `${this.name}: the object ends at ${end}, ${this.#size} bytes expected`,
          { details: { object: this.name, offset: end, expected: this.#size, found: end } },
        );
      }
      this.#size = Math.min(this.#size, Math.max(end, 0));
    }
    for (let page = run.first; page <= run.last; page++) {
      if (!wanted.has(page)) continue;
      const from = (page - run.first) * this.#pageBytes;
      const own = new Uint8Array(bytes.subarray(from, from + this.#pageBytes));
      this.#pages.set(page, own);
      if (own.length > 0) cache.set(this.name, page, own);
    }
  }
}
