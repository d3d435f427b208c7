// Interned strings, label pairs and the postings of each pair.
import { alloc, free } from './alloc';
import {
  DIR_SMALL_PAGES, NAME_BYTES, NAME_FIRST_PAIR, NAME_NEXT, NAME_PAIR_COUNT, NAME_SYMBOL, PAGE_BITS, PAGE_MASK,
  PAIR_BYTES, PAIR_COUNT, PAIR_DIR, PAIR_DIRTY, PAIR_FREE_NEXT, PAIR_NAME, PAIR_NEXT, PAIR_POSTINGS, PAIR_TAIL,
  PAIR_VALUE, POSTINGS_CAPACITY, POSTINGS_COUNT, POSTINGS_NEXT, POSTINGS_REFS, ROOT_FIRST_NAME, ROOT_GENERATION, ROOT_PAIR_LIMIT,
  ROOT_PAIR_TABLE, ROOT_SYMBOL_LIMIT, ROOT_SYMBOL_TABLE, SYMBOL_BYTES, SYMBOL_DIR, SYMBOL_HASH, SYMBOL_NAME,
  SYMBOL_TEXT, SYMBOL_USES, SERIES_BYTES, SERIES_DIR, SERIES_LABELS,
} from './layout';
import { RETIRED_PAIR, RETIRED_SYMBOL, retire, retireId } from './retire';

const TOMBSTONE: u32 = 0xffffffff;

let symbolCount: u32 = 0; // slots in use in the symbol table, tombstones included
let pairCount: u32 = 0;
let freeSymbol: u32 = 0; // chain of free ids through SYMBOL_USES
let freePair: u32 = 0;

// @ts-ignore: decorator
@inline export function symbolAt(id: u32): usize {
  return <usize>load<u32>(SYMBOL_DIR + (<usize>(id >> PAGE_BITS) << 2)) + <usize>((id & PAGE_MASK) * SYMBOL_BYTES);
}

// @ts-ignore: decorator
@inline export function pairAt(id: u32): usize {
  return <usize>load<u32>(PAIR_DIR + (<usize>(id >> PAGE_BITS) << 2)) + <usize>((id & PAGE_MASK) * PAIR_BYTES);
}

function newTable(slots: u32): usize {
  const t = alloc(4 + slots * 4);
  if (t == 0) return 0;
  memory.fill(t, 0, 4 + slots * 4);
  store<u32>(t, slots - 1);
  return t;
}

export function symbolsInit(): bool {
  symbolCount = 0;
  pairCount = 0;
  freeSymbol = 0;
  freePair = 0;
  store<u32>(ROOT_SYMBOL_LIMIT, 1);
  store<u32>(ROOT_PAIR_LIMIT, 1);
  store<u32>(ROOT_FIRST_NAME, 0);
  store<u32>(ROOT_SYMBOL_TABLE, <u32>newTable(256));
  store<u32>(ROOT_PAIR_TABLE, <u32>newTable(256));
  return load<u32>(ROOT_SYMBOL_TABLE) != 0 && load<u32>(ROOT_PAIR_TABLE) != 0;
}

/** FNV-1a over the bytes, folded with the length; readers in TypeScript compute the same. */
function hashText(p: usize, len: u32): u32 {
  let h: u32 = 0x811c9dc5 ^ len;
  const end = p + len;
  while (p < end) {
    h = (h ^ load<u8>(p)) * 0x01000193;
    p++;
  }
  h ^= h >> 15;
  return h;
}

// @ts-ignore: decorator
@inline function equalBytes(a: usize, b: usize, len: u32): bool {
  const end = a + len;
  while (a + 8 <= end) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
  }
  while (a < end) {
    if (load<u8>(a) != load<u8>(b)) return false;
    a++;
    b++;
  }
  return true;
}

/** Makes room for one more entry; rebuilding also drops tombstones. */
function growSymbolTable(): bool {
  const old = <usize>load<u32>(ROOT_SYMBOL_TABLE);
  const slots = load<u32>(old) + 1;
  if (symbolCount * 4 < slots * 3) return true;
  let live: u32 = 0;
  for (let i: u32 = 0; i < slots; i++) {
    const id = load<u32>(old + 4 + (<usize>i << 2));
    if (id != 0 && id != TOMBSTONE) live++;
  }
  const bigger = live * 2 >= slots ? slots * 2 : slots;
  const t = newTable(bigger);
  if (t == 0) return false;
  const mask = bigger - 1;
  for (let i: u32 = 0; i < slots; i++) {
    const id = load<u32>(old + 4 + (<usize>i << 2));
    if (id == 0 || id == TOMBSTONE) continue;
    let k = load<u32>(symbolAt(id), SYMBOL_HASH) & mask;
    while (load<u32>(t + 4 + (<usize>k << 2)) != 0) k = (k + 1) & mask;
    store<u32>(t + 4 + (<usize>k << 2), id);
  }
  symbolCount = live;
  atomic.store<u32>(ROOT_SYMBOL_TABLE, <u32>t);
  retire(old, 4 + slots * 4);
  return true;
}

function growPairTable(): bool {
  const old = <usize>load<u32>(ROOT_PAIR_TABLE);
  const slots = load<u32>(old) + 1;
  if (pairCount * 4 < slots * 3) return true;
  let live: u32 = 0;
  for (let i: u32 = 0; i < slots; i++) {
    const id = load<u32>(old + 4 + (<usize>i << 2));
    if (id != 0 && id != TOMBSTONE) live++;
  }
  const bigger = live * 2 >= slots ? slots * 2 : slots;
  const t = newTable(bigger);
  if (t == 0) return false;
  const mask = bigger - 1;
  for (let i: u32 = 0; i < slots; i++) {
    const id = load<u32>(old + 4 + (<usize>i << 2));
    if (id == 0 || id == TOMBSTONE) continue;
    const pair = pairAt(id);
    let k = hashPair(load<u32>(pair, PAIR_NAME), load<u32>(pair, PAIR_VALUE)) & mask;
    while (load<u32>(t + 4 + (<usize>k << 2)) != 0) k = (k + 1) & mask;
    store<u32>(t + 4 + (<usize>k << 2), id);
  }
  pairCount = live;
  atomic.store<u32>(ROOT_PAIR_TABLE, <u32>t);
  retire(old, 4 + slots * 4);
  return true;
}

/** A page of records, zeroed, entered into a directory when the id is the first of its page. */
function ensurePage(dir: usize, id: u32, recordBytes: u32): bool {
  const slot = dir + (<usize>(id >> PAGE_BITS) << 2);
  if (load<u32>(slot) != 0) return true;
  if ((id >> PAGE_BITS) >= DIR_SMALL_PAGES) return false;
  const page = alloc(recordBytes << PAGE_BITS);
  if (page == 0) return false;
  memory.fill(page, 0, recordBytes << PAGE_BITS);
  store<u32>(slot, <u32>page);
  return true;
}

/** The id of a string, interned when new; 0 when memory is used up. */
export function internSymbol(p: usize, len: u32): u32 {
  const h = hashText(p, len);
  if (!growSymbolTable()) return 0;
  const table = <usize>load<u32>(ROOT_SYMBOL_TABLE);
  const mask = load<u32>(table);
  let k = h & mask;
  while (true) {
    const id = load<u32>(table + 4 + (<usize>k << 2));
    if (id == 0) break;
    if (id != TOMBSTONE) {
      const s = symbolAt(id);
      if (load<u32>(s, SYMBOL_HASH) == h) {
        const text = <usize>load<u32>(s, SYMBOL_TEXT);
        if (load<u32>(text) == len && equalBytes(text + 4, p, len)) return id;
      }
    }
    k = (k + 1) & mask;
  }
  let id = freeSymbol;
  if (id != 0) freeSymbol = load<u32>(symbolAt(id), SYMBOL_USES);
  else {
    id = load<u32>(ROOT_SYMBOL_LIMIT);
    if (!ensurePage(SYMBOL_DIR, id, SYMBOL_BYTES)) return 0;
    atomic.store<u32>(ROOT_SYMBOL_LIMIT, id + 1);
  }
  const text = alloc(len + 4);
  if (text == 0) return 0;
  store<u32>(text, len);
  memory.copy(text + 4, p, len);
  const s = symbolAt(id);
  store<u32>(s, <u32>text, SYMBOL_TEXT);
  store<u32>(s, h, SYMBOL_HASH);
  store<u32>(s, 0, SYMBOL_NAME);
  store<u32>(s, 0, SYMBOL_USES);
  symbolCount++;
  atomic.store<u32>(table + 4 + (<usize>k << 2), id);
  return id;
}

// @ts-ignore: decorator
@inline function hashPair(name: u32, value: u32): u32 {
  let h = value * 0x9e3779b1 + name * 0x85ebca77;
  h ^= h >> 15;
  h *= 0x2c1b3c6d;
  return h ^ (h >> 13);
}

/** The id of a label pair, made when new; 0 when memory is used up. */
export function internPair(name: u32, value: u32): u32 {
  if (!growPairTable()) return 0;
  const table = <usize>load<u32>(ROOT_PAIR_TABLE);
  const mask = load<u32>(table);
  let k = hashPair(name, value) & mask;
  while (true) {
    const id = load<u32>(table + 4 + (<usize>k << 2));
    if (id == 0) break;
    if (id != TOMBSTONE) {
      const p = pairAt(id);
      if (load<u32>(p, PAIR_VALUE) == value && load<u32>(p, PAIR_NAME) == name) return id;
    }
    k = (k + 1) & mask;
  }
  const nameSymbol = symbolAt(name);
  let record = <usize>load<u32>(nameSymbol, SYMBOL_NAME);
  if (record == 0) {
    record = alloc(NAME_BYTES);
    if (record == 0) return 0;
    store<u32>(record, name, NAME_SYMBOL);
    store<u32>(record, 0, NAME_FIRST_PAIR);
    store<u32>(record, 0, NAME_PAIR_COUNT);
    store<u32>(record, load<u32>(ROOT_FIRST_NAME), NAME_NEXT);
    store<u32>(nameSymbol, <u32>record, SYMBOL_NAME);
    atomic.store<u32>(ROOT_FIRST_NAME, <u32>record);
  }
  let id = freePair;
  if (id != 0) freePair = load<u32>(pairAt(id), PAIR_FREE_NEXT);
  else {
    id = load<u32>(ROOT_PAIR_LIMIT);
    if (!ensurePage(PAIR_DIR, id, PAIR_BYTES)) return 0;
    atomic.store<u32>(ROOT_PAIR_LIMIT, id + 1);
  }
  const p = pairAt(id);
  store<u32>(p, name, PAIR_NAME);
  store<u32>(p, value, PAIR_VALUE);
  store<u32>(p, load<u32>(record, NAME_FIRST_PAIR), PAIR_NEXT);
  store<u32>(p, 0, PAIR_COUNT);
  store<u32>(p, 0, PAIR_POSTINGS);
  store<u32>(p, 0, PAIR_TAIL);
  store<u32>(p, 0, PAIR_DIRTY);
  store<u32>(p, 0, PAIR_FREE_NEXT);
  store<u32>(nameSymbol, load<u32>(nameSymbol, SYMBOL_USES) + 1, SYMBOL_USES);
  const valueSymbol = symbolAt(value);
  store<u32>(valueSymbol, load<u32>(valueSymbol, SYMBOL_USES) + 1, SYMBOL_USES);
  store<u32>(record, load<u32>(record, NAME_PAIR_COUNT) + 1, NAME_PAIR_COUNT);
  pairCount++;
  store<u32>(table + 4 + (<usize>k << 2), id);
  atomic.store<u32>(record + NAME_FIRST_PAIR, id);
  return id;
}

function newPostingsBlock(capacity: u32): usize {
  const b = alloc(<u32>POSTINGS_REFS + capacity * 4);
  if (b == 0) return 0;
  store<u32>(b, 0, POSTINGS_NEXT);
  store<u32>(b, 0, POSTINGS_COUNT);
  store<u32>(b, capacity, POSTINGS_CAPACITY);
  return b;
}

// Blocks stay within half of what the list already holds, so that long tails waste little and long lists link seldom.
// @ts-ignore: decorator
@inline function nextCapacity(count: u32): u32 {
  if (count <= 8) return 4;
  if (count <= 24) return 12;
  if (count <= 56) return 28;
  if (count <= 120) return 60;
  if (count <= 248) return 124;
  if (count <= 1016) return 252;
  return 1020;
}

/** Appends a series to the postings of a pair. Refs only grow, so lists stay sorted. False when memory is used up. */
export function postingsAdd(pairId: u32, ref: u32): bool {
  const p = pairAt(pairId);
  const count = load<u32>(p, PAIR_COUNT);
  const postings = load<u32>(p, PAIR_POSTINGS);
  if (postings == 0) {
    atomic.store<u32>(p + PAIR_POSTINGS, (ref << 1) | 1);
  } else if (postings & 1) {
    const b = newPostingsBlock(4);
    if (b == 0) return false;
    store<u32>(b, postings >> 1, POSTINGS_REFS);
    store<u32>(b, ref, POSTINGS_REFS + 4);
    store<u32>(b, 2, POSTINGS_COUNT);
    store<u32>(p, <u32>b, PAIR_TAIL);
    atomic.store<u32>(p + PAIR_POSTINGS, <u32>b);
  } else {
    const tail = <usize>load<u32>(p, PAIR_TAIL);
    const n = load<u32>(tail, POSTINGS_COUNT);
    if (n < load<u32>(tail, POSTINGS_CAPACITY)) {
      store<u32>(tail + (<usize>n << 2), ref, POSTINGS_REFS);
      atomic.store<u32>(tail + POSTINGS_COUNT, n + 1);
    } else {
      const b = newPostingsBlock(nextCapacity(count));
      if (b == 0) return false;
      store<u32>(b, ref, POSTINGS_REFS);
      store<u32>(b, 1, POSTINGS_COUNT);
      store<u32>(p, <u32>b, PAIR_TAIL);
      atomic.store<u32>(tail + POSTINGS_NEXT, <u32>b);
    }
  }
  store<u32>(p, count + 1, PAIR_COUNT);
  return true;
}

function retirePostings(postings: u32): void {
  if (postings == 0 || (postings & 1) != 0) return;
  let b = <usize>postings;
  while (b != 0) {
    const next = <usize>load<u32>(b, POSTINGS_NEXT);
    retire(b, <u32>POSTINGS_REFS + load<u32>(b, POSTINGS_CAPACITY) * 4);
    b = next;
  }
}

// @ts-ignore: decorator
@inline function isLive(ref: u32): bool {
  const page = <usize>load<u32>(SERIES_DIR + (<usize>(ref >> PAGE_BITS) << 2));
  return page != 0 && load<u32>(page + <usize>((ref & PAGE_MASK) * SERIES_BYTES), SERIES_LABELS) != 0;
}

/**
 * Rewrites the postings of a pair without its dead series.
 * Returns the number that is left, or 0xffffffff when memory is used up (the list then stays as it is).
 */
export function postingsSweep(pairId: u32): u32 {
  const p = pairAt(pairId);
  const old = load<u32>(p, PAIR_POSTINGS);
  store<u32>(p, 0, PAIR_DIRTY);
  if (old == 0) return 0;
  if (old & 1) {
    if (isLive(old >> 1)) return 1;
    atomic.store<u32>(p + PAIR_POSTINGS, 0);
    store<u32>(p, 0, PAIR_COUNT);
    return 0;
  }
  let live: u32 = 0;
  let single: u32 = 0;
  for (let b = <usize>old; b != 0; b = <usize>load<u32>(b, POSTINGS_NEXT)) {
    const n = load<u32>(b, POSTINGS_COUNT);
    for (let i: u32 = 0; i < n; i++) {
      const ref = load<u32>(b + (<usize>i << 2), POSTINGS_REFS);
      if (isLive(ref)) {
        live++;
        single = ref;
      }
    }
  }
  if (live == load<u32>(p, PAIR_COUNT)) return live;
  if (live <= 1) {
    atomic.store<u32>(p + PAIR_POSTINGS, live == 0 ? 0 : (single << 1) | 1);
    store<u32>(p, 0, PAIR_TAIL);
    store<u32>(p, live, PAIR_COUNT);
    retirePostings(old);
    return live;
  }
  let head: usize = 0;
  let tail: usize = 0;
  let left = live;
  for (let b = <usize>old; b != 0; b = <usize>load<u32>(b, POSTINGS_NEXT)) {
    const n = load<u32>(b, POSTINGS_COUNT);
    for (let i: u32 = 0; i < n; i++) {
      const ref = load<u32>(b + (<usize>i << 2), POSTINGS_REFS);
      if (!isLive(ref)) continue;
      if (tail == 0 || load<u32>(tail, POSTINGS_COUNT) == load<u32>(tail, POSTINGS_CAPACITY)) {
        const fresh = newPostingsBlock(left > 1020 ? 1020 : (left + 3) & ~3);
        if (fresh == 0) {
          retirePostings(<u32>head);
          return 0xffffffff;
        }
        if (tail == 0) head = fresh;
        else store<u32>(tail, <u32>fresh, POSTINGS_NEXT);
        tail = fresh;
      }
      const k = load<u32>(tail, POSTINGS_COUNT);
      store<u32>(tail + (<usize>k << 2), ref, POSTINGS_REFS);
      store<u32>(tail, k + 1, POSTINGS_COUNT);
      left--;
    }
  }
  store<u32>(p, <u32>tail, PAIR_TAIL);
  store<u32>(p, live, PAIR_COUNT);
  atomic.store<u32>(p + PAIR_POSTINGS, <u32>head);
  retirePostings(old);
  return live;
}

/** Frees the id and the text of a symbol that no pair uses and no query holds. Called by retire.ts. */
export function releaseSymbol(id: u32): void {
  const s = symbolAt(id);
  const text = <usize>load<u32>(s, SYMBOL_TEXT);
  store<u32>(s, 0, SYMBOL_TEXT);
  free(text, load<u32>(text) + 4);
  store<u32>(s, freeSymbol, SYMBOL_USES);
  freeSymbol = id;
}

// Readers keep what they learnt about an id until the generation changes. It changes when an id becomes unreachable, not
// when it is free: a query that begins after that cannot come upon the id any more, and one that began before keeps it
// from being given out again. A change at the release would come while queries run that still trust what they kept.
function nextGeneration(): void {
  atomic.store<u32>(ROOT_GENERATION, load<u32>(ROOT_GENERATION) + 1);
}

function dropSymbolUse(id: u32): void {
  const s = symbolAt(id);
  const uses = load<u32>(s, SYMBOL_USES) - 1;
  store<u32>(s, uses, SYMBOL_USES);
  // A label name keeps its symbol: names are few, and its record hangs on it.
  if (uses != 0 || load<u32>(s, SYMBOL_NAME) != 0) return;
  const table = <usize>load<u32>(ROOT_SYMBOL_TABLE);
  const mask = load<u32>(table);
  let k = load<u32>(s, SYMBOL_HASH) & mask;
  while (load<u32>(table + 4 + (<usize>k << 2)) != id) k = (k + 1) & mask;
  atomic.store<u32>(table + 4 + (<usize>k << 2), TOMBSTONE);
  nextGeneration();
  retireId(RETIRED_SYMBOL, id);
}

/** Frees the id of an unlinked pair that no query holds. Called by retire.ts. */
export function releasePair(id: u32): void {
  const p = pairAt(id);
  const name = load<u32>(p, PAIR_NAME);
  const value = load<u32>(p, PAIR_VALUE);
  store<u32>(p, freePair, PAIR_FREE_NEXT);
  freePair = id;
  dropSymbolUse(name);
  dropSymbolUse(value);
}

/** Unlinks the pairs of one label name that have no series left. Queries that stand on one still find its successor. */
export function sweepName(record: usize): u32 {
  let dropped: u32 = 0;
  let link = record + NAME_FIRST_PAIR;
  let id = load<u32>(link);
  while (id != 0) {
    const p = pairAt(id);
    const next = load<u32>(p, PAIR_NEXT);
    if (load<u32>(p, PAIR_POSTINGS) == 0) {
      atomic.store<u32>(link, next);
      const table = <usize>load<u32>(ROOT_PAIR_TABLE);
      const mask = load<u32>(table);
      let k = hashPair(load<u32>(p, PAIR_NAME), load<u32>(p, PAIR_VALUE)) & mask;
      while (load<u32>(table + 4 + (<usize>k << 2)) != id) k = (k + 1) & mask;
      atomic.store<u32>(table + 4 + (<usize>k << 2), TOMBSTONE);
      store<u32>(record, load<u32>(record, NAME_PAIR_COUNT) - 1, NAME_PAIR_COUNT);
      nextGeneration();
      retireId(RETIRED_PAIR, id);
      dropped++;
    } else link = p + PAIR_NEXT;
    id = next;
  }
  return dropped;
}
