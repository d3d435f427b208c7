import { LRUCache } from 'lru-cache';

/** What an entry costs beside its bytes: key, array, links. */
const ENTRY_BYTES = 256;

/** Figures of a cache since it was made, for metrics. */
export interface PageCacheCounts {
  hits: number;
  misses: number;
  hitBytes: number;
  /** Bytes of pages that were put in. */
  storedBytes: number;
  evictions: number;
}

/**
 * Pages of immutable objects, bounded by their bytes; the one used longest ago goes first. A page is a range of an
 * object aligned to the page size; the last one of an object is shorter.
 */
export class PageCache {
  readonly pageBytes: number;
  readonly counts: PageCacheCounts;
  readonly #pages: LRUCache<string, Uint8Array> | null;
  /** Pages that are being fetched. */
  readonly #flying = new Map<string, Promise<Uint8Array>>();

  /** @param bytesMax 0 keeps nothing */
  constructor(pageBytes: number, bytesMax: number) {
    this.pageBytes = pageBytes;
    this.counts = { hits: 0, misses: 0, hitBytes: 0, storedBytes: 0, evictions: 0 };
    this.#pages =
      bytesMax === 0
        ? null
        : new LRUCache({
            maxSize: bytesMax,
            sizeCalculation: (page) => page.length + ENTRY_BYTES,
            dispose: (_page, _key, reason) => {
              if (reason === 'evict') this.counts.evictions++;
            },
          });
  }

  /** Bytes in use, with what the entries cost. */
  get byteCount(): number {
    return this.#pages?.calculatedSize ?? 0;
  }

  get(object: string, page: number): Uint8Array | undefined {
    const found = this.#pages?.get(keyOf(object, page));
    if (found === undefined) this.counts.misses++;
    else {
      this.counts.hits++;
      this.counts.hitBytes += found.length;
    }
    return found;
  }

  /** Keeps a page. Its memory must be its own: a view would keep more alive than is counted. */
  set(object: string, page: number, bytes: Uint8Array): void {
    if (this.#pages === null) return;
    this.counts.storedBytes += bytes.length;
    this.#pages.set(keyOf(object, page), bytes);
  }

  /** A page that somebody is fetching; rejects when that fails. */
  flying(object: string, page: number): Promise<Uint8Array> | undefined {
    return this.#flying.get(keyOf(object, page));
  }

  /** Lets others wait for a page instead of fetching it as well. */
  fly(object: string, page: number, bytes: Promise<Uint8Array>): void {
    const key = keyOf(object, page);
    const landed = () => {
      if (this.#flying.get(key) === bytes) this.#flying.delete(key);
    };
    this.#flying.set(key, bytes);
    // A failure is told by whoever fetches.
    bytes.then(landed, landed);
  }

  /** Drops the pages of all objects whose names begin so, as when one of them turned out to be damaged. */
  drop(prefix: string): void {
    if (this.#pages === null) return;
    for (const key of [...this.#pages.keys()]) if (key.startsWith(prefix)) this.#pages.delete(key);
  }
}

function keyOf(object: string, page: number): string {
  return `${object}\n${page}`;
}

/** The caches of one process or thread, over all its blocks. */
export interface BlockCaches {
  readonly postings: PageCache;
  readonly series: PageCache;
  readonly chunks: PageCache;
}

export interface BlockCacheBytes {
  readonly postings: number;
  readonly series: number;
  readonly chunks: number;
}

/** Index entries are small and needed in small groups; the chunks of a day's series fill some kilobytes. */
const INDEX_PAGE_BYTES = 8192;
const CHUNK_PAGE_BYTES = 16_000;

/** Makes the caches, given the most bytes of each. */
export function makeBlockCaches(bytesMax: BlockCacheBytes): BlockCaches {
  return {
    postings: new PageCache(INDEX_PAGE_BYTES, bytesMax.postings),
    series: new PageCache(INDEX_PAGE_BYTES, bytesMax.series),
    chunks: new PageCache(CHUNK_PAGE_BYTES, bytesMax.chunks),
  };
}
