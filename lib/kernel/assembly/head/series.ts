// Series records, and the table that finds a series by the fingerprint of its labels.
import { alloc, free } from './alloc';
import { fingerprint, hash1, hash2 } from '../fingerprint';
import {
  FLAG_EMPTY, FLAG_FORWARD, PAGE_BITS, PAGE_MASK, PAIR_DIRTY, ROOT_GENERATION, ROOT_MAX_TIME, ROOT_SERIES_COUNT, ROOT_SERIES_LIMIT,
  SERIES_BYTES, SERIES_CHUNK, SERIES_DIR, SERIES_FLAGS, SERIES_HASH1, SERIES_HASH2, SERIES_LABELS, SERIES_LAST_TIME,
} from './layout';
import { retire } from './retire';
import { internPair, internSymbol, pairAt, postingsAdd } from './symbols';

const TOMBSTONE: u32 = 0xffffffff;
const NO_TIME: i64 = i64.MIN_VALUE;

// Slots of 8 bytes: u32 ref, u32 upper half of the first hash. Writer only.
let table: usize = 0;
let mask: u32 = 0;
let filled: u32 = 0; // slots in use, tombstones included

// @ts-ignore: decorator
@inline export function seriesAt(ref: u32): usize {
  return <usize>load<u32>(SERIES_DIR + (<usize>(ref >> PAGE_BITS) << 2)) + <usize>((ref & PAGE_MASK) * SERIES_BYTES);
}

export function seriesInit(): bool {
  store<u32>(ROOT_SERIES_LIMIT, 1);
  store<u32>(ROOT_SERIES_COUNT, 0);
  store<u32>(ROOT_GENERATION, 1);
  store<i64>(ROOT_MAX_TIME, NO_TIME);
  mask = 1023;
  filled = 0;
  table = alloc(8 * 1024);
  if (table == 0) return false;
  memory.fill(table, 0, 8 * 1024);
  return true;
}

function growTable(): bool {
  const slots = mask + 1;
  if (filled * 5 < slots * 4) return true;
  const live = load<u32>(ROOT_SERIES_COUNT);
  const bigger = live * 2 >= slots ? slots * 2 : slots;
  const t = alloc(8 * bigger);
  if (t == 0) return false;
  memory.fill(t, 0, 8 * bigger);
  const m = bigger - 1;
  for (let i: u32 = 0; i < slots; i++) {
    const slot = table + (<usize>i << 3);
    const ref = load<u32>(slot);
    if (ref == 0 || ref == TOMBSTONE) continue;
    let k = load<u32>(slot, 4) & m;
    while (load<u32>(t + (<usize>k << 3)) != 0) k = (k + 1) & m;
    store<u64>(t + (<usize>k << 3), load<u64>(slot));
  }
  free(table, 8 * slots);
  table = t;
  mask = m;
  filled = live;
  return true;
}

/** The series with this fingerprint, or 0. */
export function seriesFind(h1: u64, h2: u64): u32 {
  const tag = <u32>(h1 >> 32);
  let k = tag & mask;
  while (true) {
    const slot = table + (<usize>k << 3);
    const ref = load<u32>(slot);
    if (ref == 0) return 0;
    if (load<u32>(slot, 4) == tag && ref != TOMBSTONE) {
      const s = seriesAt(ref);
      if (load<u64>(s, SERIES_HASH1) == h1 && load<u64>(s, SERIES_HASH2) == h2) return ref;
    }
    k = (k + 1) & mask;
  }
}

/** The series with these canonical labels, or 0. Leaves their fingerprint in hash1 and hash2. */
export function findByLabels(labels: usize, len: u32): u32 {
  fingerprint(labels, len);
  return seriesFind(hash1, hash2);
}

/** Looks up a batch: refs[i] = series of fingerprint i or 0. Returns how many were not found. */
export function lookupBatch(hashes1: usize, hashes2: usize, n: u32, refs: usize): u32 {
  let missing: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const ref = seriesFind(load<u64>(hashes1 + (<usize>i << 3)), load<u64>(hashes2 + (<usize>i << 3)));
    store<u32>(refs + (<usize>i << 2), ref);
    if (ref == 0) missing++;
  }
  return missing;
}

/** Pages up to this ref exist after the call; false when memory is used up. */
function ensureSeriesPage(ref: u32): bool {
  const slot = SERIES_DIR + (<usize>(ref >> PAGE_BITS) << 2);
  if (load<u32>(slot) != 0) return true;
  const page = alloc(SERIES_BYTES << PAGE_BITS);
  if (page == 0) return false;
  memory.fill(page, 0, SERIES_BYTES << PAGE_BITS);
  store<u32>(slot, <u32>page);
  return true;
}

let cursor: usize = 0;

// Our own canonical encoding: minimal varints, checked by the scanner.
// @ts-ignore: decorator
@inline function uvarint(): u32 {
  let b = <u32>load<u8>(cursor++);
  if (b < 0x80) return b;
  let r = b & 0x7f;
  let shift: u32 = 7;
  do {
    b = <u32>load<u8>(cursor++);
    r |= (b & 0x7f) << shift;
    shift += 7;
  } while (b >= 0x80);
  return r;
}

/**
 * Makes a series. `labels` is the canonical protobuf encoding of a valid label set: `0a len 0a len name 12 len value`
 * per label, sorted by name. The fingerprint is that of these bytes (hash1, hash2 of fingerprint.ts are read).
 * @param wanted ref to use (replay), 0 for the next one
 * @returns the ref, or 0 when memory is used up
 */
export function seriesCreate(labels: usize, len: u32, wanted: u32): u32 {
  const ref = wanted != 0 ? wanted : load<u32>(ROOT_SERIES_LIMIT);
  if (ref >= 0x7fffffff || !growTable() || !ensureSeriesPage(ref)) return 0;
  const end = labels + len;
  let count: u32 = 0;
  cursor = labels;
  while (cursor < end) {
    cursor++;
    const n = uvarint();
    cursor += n;
    count++;
  }
  const block = alloc(4 + count * 4);
  if (block == 0) return 0;
  store<u32>(block, count);
  cursor = labels;
  for (let i: u32 = 0; i < count; i++) {
    cursor++;
    uvarint();
    cursor++;
    const nameLen = uvarint();
    const name = internSymbol(cursor, nameLen);
    cursor += nameLen + 1;
    const valueLen = uvarint();
    const value = internSymbol(cursor, valueLen);
    cursor += valueLen;
    const pair = name == 0 || value == 0 ? 0 : internPair(name, value);
    if (pair == 0) {
      free(block, 4 + count * 4);
      return 0;
    }
    store<u32>(block + (<usize>i << 2), pair, 4);
  }
  const s = seriesAt(ref);
  memory.fill(s, 0, SERIES_BYTES);
  store<u64>(s, hash1, SERIES_HASH1);
  store<u64>(s, hash2, SERIES_HASH2);
  store<i64>(s, NO_TIME, SERIES_LAST_TIME);
  store<u32>(s, FLAG_EMPTY, SERIES_FLAGS);
  store<u32>(s, <u32>block, SERIES_LABELS);
  for (let i: u32 = 0; i < count; i++) {
    if (postingsAdd(load<u32>(block + (<usize>i << 2), 4), ref)) continue;
    // Some postings name this ref by now: it counts as used, by a dead series.
    if (ref >= load<u32>(ROOT_SERIES_LIMIT)) atomic.store<u32>(ROOT_SERIES_LIMIT, ref + 1);
    bury(s, block);
    return 0;
  }
  const tag = <u32>(hash1 >> 32);
  let k = tag & mask;
  while (load<u32>(table + (<usize>k << 3)) != 0) k = (k + 1) & mask;
  store<u32>(table + (<usize>k << 3), ref);
  store<u32>(table + (<usize>k << 3), tag, 4);
  filled++;
  if (ref >= load<u32>(ROOT_SERIES_LIMIT)) atomic.store<u32>(ROOT_SERIES_LIMIT, ref + 1);
  store<u32>(ROOT_SERIES_COUNT, load<u32>(ROOT_SERIES_COUNT) + 1);
  return ref;
}

/** Notes that samples logged under `ref` belong to the series `target`. */
export function seriesForward(ref: u32, target: u32): bool {
  if (ref >= 0x7fffffff || !ensureSeriesPage(ref)) return false;
  const s = seriesAt(ref);
  store<u32>(s, target, SERIES_CHUNK);
  store<u32>(s, FLAG_FORWARD, SERIES_FLAGS);
  if (ref >= load<u32>(ROOT_SERIES_LIMIT)) atomic.store<u32>(ROOT_SERIES_LIMIT, ref + 1);
  return true;
}

/** The live series that samples logged under this ref belong to, or 0. */
export function seriesResolve(ref: u32): u32 {
  for (let hops = 0; hops < 64; hops++) {
    if (ref == 0 || ref >= load<u32>(ROOT_SERIES_LIMIT)) return 0;
    const page = <usize>load<u32>(SERIES_DIR + (<usize>(ref >> PAGE_BITS) << 2));
    if (page == 0) return 0;
    const s = page + <usize>((ref & PAGE_MASK) * SERIES_BYTES);
    if (load<u32>(s, SERIES_LABELS) != 0) return ref;
    if (load<u32>(s, SERIES_FLAGS) != FLAG_FORWARD) return 0;
    ref = load<u32>(s, SERIES_CHUNK);
  }
  return 0;
}

/** Forgets a series whose samples are gone; its labels stay readable to running queries until they end. */
export function seriesRemove(ref: u32): void {
  const s = seriesAt(ref);
  const block = <usize>load<u32>(s, SERIES_LABELS);
  const tag = <u32>(load<u64>(s, SERIES_HASH1) >> 32);
  let k = tag & mask;
  while (load<u32>(table + (<usize>k << 3)) != ref) k = (k + 1) & mask;
  store<u32>(table + (<usize>k << 3), TOMBSTONE);
  bury(s, block);
  store<u32>(ROOT_SERIES_COUNT, load<u32>(ROOT_SERIES_COUNT) - 1);
}

/** Takes the labels from a series record, which makes it a dead one, and has the postings of its pairs swept. */
function bury(s: usize, block: usize): void {
  const count = load<u32>(block);
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(pairAt(load<u32>(block + (<usize>i << 2), 4)), 1, PAIR_DIRTY);
  }
  atomic.store<u32>(s + SERIES_LABELS, 0);
  retire(block, 4 + count * 4);
}

/** Frees the pages of 4096 records in which no series lives, none will, and none is stood for: all but the newest. */
export function freeDeadPages(): u32 {
  const last = load<u32>(ROOT_SERIES_LIMIT) >> PAGE_BITS;
  let freed: u32 = 0;
  for (let i: u32 = 0; i < last; i++) {
    const slot = SERIES_DIR + (<usize>i << 2);
    const page = <usize>load<u32>(slot);
    if (page == 0) continue;
    let k: u32 = 0;
    // A record that forwards to a live series is needed as long as the log may name it.
    while (k <= PAGE_MASK && seriesResolve((i << PAGE_BITS) + k) == 0) k++;
    if (k <= PAGE_MASK) continue;
    atomic.store<u32>(slot, 0);
    retire(page, SERIES_BYTES << PAGE_BITS);
    freed++;
  }
  return freed;
}

export function seriesLive(ref: u32): bool {
  if (ref == 0 || ref >= load<u32>(ROOT_SERIES_LIMIT)) return false;
  const page = <usize>load<u32>(SERIES_DIR + (<usize>(ref >> PAGE_BITS) << 2));
  return page != 0 && load<u32>(page + <usize>((ref & PAGE_MASK) * SERIES_BYTES), SERIES_LABELS) != 0;
}
