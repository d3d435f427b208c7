// What running queries may still read is retired: memory is freed, and ids are reused, once every query that had begun by
// then has ended. Only the ingest thread starts and ends queries' access, so epochs are plain numbers it hands in.
import { alloc, free } from './alloc';
import { releasePair, releaseSymbol } from './symbols';

export const RETIRED_MEMORY: u32 = 0;
export const RETIRED_PAIR: u32 = 1;
export const RETIRED_SYMBOL: u32 = 2;

// Entry: u32 next, u32 address or id, u32 byte length, u32 epoch, u32 kind.
const ENTRY_BYTES: u32 = 32;

let first: usize = 0;
let last: usize = 0;
let epoch: u32 = 0;
let oldestActive: u32 = 0xffffffff;
let pending: u32 = 0;

function release(kind: u32, what: u32, n: u32): void {
  if (kind == RETIRED_MEMORY) free(<usize>what, n);
  else if (kind == RETIRED_PAIR) releasePair(what);
  else releaseSymbol(what);
}

/**
 * Tells which queries run.
 * @param current epoch that the next retired thing gets; grows with every query that starts
 * @param oldest  epoch of the oldest running query, 0xffffffff when none runs
 */
export function setReaders(current: u32, oldest: u32): void {
  epoch = current;
  oldestActive = oldest;
  while (first != 0 && load<u32>(first, 12) < oldest) {
    const entry = first;
    first = <usize>load<u32>(entry);
    if (first == 0) last = 0;
    pending--;
    const what = load<u32>(entry, 4);
    const n = load<u32>(entry, 8);
    const kind = load<u32>(entry, 16);
    free(entry, ENTRY_BYTES);
    release(kind, what, n);
  }
}

export function retiredCount(): u32 {
  return pending;
}

function enqueue(kind: u32, what: u32, n: u32): void {
  if (oldestActive == 0xffffffff) {
    release(kind, what, n);
    return;
  }
  const entry = alloc(ENTRY_BYTES);
  if (entry == 0) return; // out of memory: leaking is safe, freeing early is not
  store<u32>(entry, 0);
  store<u32>(entry, what, 4);
  store<u32>(entry, n, 8);
  store<u32>(entry, epoch, 12);
  store<u32>(entry, kind, 16);
  if (last != 0) store<u32>(last, <u32>entry);
  else first = entry;
  last = entry;
  pending++;
}

/** Frees a block as soon as no running query can hold it; n is the size it was asked for with. */
export function retire(p: usize, n: u32): void {
  enqueue(RETIRED_MEMORY, <u32>p, n);
}

/** Frees an id as soon as no running query can hold it. */
export function retireId(kind: u32, id: u32): void {
  enqueue(kind, id, 0);
}
