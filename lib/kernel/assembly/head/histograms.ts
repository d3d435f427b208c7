// Chunks of native histograms. Their bits are made outside of the kernel, which keeps them beside the chunks of floats and
// publishes them by the same rules: bytes first, then length and end, the count last and atomically; a chunk that moves
// or is written anew appears by one store of its address.
import { alloc, blockBytes } from './alloc';
import { noteChunk, noteTime, trimChunk } from './append';
import {
  CHUNK_BYTES, CHUNK_COUNT, CHUNK_HEADER_BYTES, CHUNK_KIND, CHUNK_KIND_RAW, CHUNK_KIND_XOR, CHUNK_LONG_BYTES, CHUNK_LONG_CAPACITY,
  CHUNK_LONG_PAYLOAD, CHUNK_MARKED, CHUNK_MIN_TIME, CHUNK_PREV, CHUNK_SPAN, CODE_ACCEPTED_OOO, CODE_DUPLICATE, CODE_NEW_VALUE,
  FLAG_HISTOGRAM, SERIES_BIT, SERIES_BUSY, SERIES_CHUNK, SERIES_FLAGS, SERIES_LAST_TIME, SERIES_OOO,
} from './layout';
import { retire } from './retire';
import { seriesAt } from './series';

// What the bytes handed over are to the newest chunk of the series.
const EXTEND: u32 = 0; // they follow its first `from` bytes
const OPEN: u32 = 1; // they begin the next one
// Any other: they replace all of it, with one more sample.

const FIRST_BYTES: u32 = 160;
// Late histograms that a new one is compared with.
const COMPARED_MAX: u32 = 32;

/** What the block of a chunk was asked for with. */
export function chunkSize(chunk: usize): u32 {
  const kind = <u32>load<u16>(chunk, CHUNK_KIND) & ~CHUNK_MARKED;
  if (kind == CHUNK_KIND_XOR) return CHUNK_HEADER_BYTES + <u32>load<u16>(chunk, CHUNK_BYTES);
  if (kind == CHUNK_KIND_RAW) return CHUNK_HEADER_BYTES + load<u32>(chunk, CHUNK_COUNT) * 16;
  return <u32>CHUNK_LONG_PAYLOAD + load<u32>(chunk, CHUNK_LONG_CAPACITY);
}

/** A chunk with room for n bytes and none in use, or 0. */
function newLongChunk(kind: u32, t: i64, prev: u32, n: u32): usize {
  const wanted = <u32>CHUNK_LONG_PAYLOAD + n;
  const chunk = alloc(wanted);
  if (chunk == 0) return 0;
  store<u32>(chunk, prev, CHUNK_PREV);
  store<u16>(chunk, 0, CHUNK_BYTES);
  store<u16>(chunk, <u16>kind, CHUNK_KIND);
  store<i64>(chunk, t, CHUNK_MIN_TIME);
  store<u32>(chunk, 0, CHUNK_SPAN);
  store<u32>(chunk, 0, CHUNK_COUNT);
  store<u32>(chunk, 0, CHUNK_LONG_BYTES);
  store<u32>(chunk, blockBytes(wanted) - <u32>CHUNK_LONG_PAYLOAD, CHUNK_LONG_CAPACITY);
  return chunk;
}

/** Moves the open histogram chunk of a series, to which nothing will be added, into a block of its true size. */
export function trimHistogram(s: usize): void {
  const chunk = <usize>load<u32>(s, SERIES_CHUNK);
  if (chunk == 0) return;
  const bytes = load<u32>(chunk, CHUNK_LONG_BYTES);
  if (blockBytes(<u32>CHUNK_LONG_PAYLOAD + bytes) >= chunkSize(chunk)) return;
  const copy = copyOf(chunk, bytes);
  if (copy == 0) return;
  atomic.store<u32>(s + SERIES_CHUNK, <u32>copy);
  retire(chunk, chunkSize(chunk));
}

/** A copy of an unmarked chunk with room for n bytes, at least those in use, or 0. */
function copyOf(chunk: usize, n: u32): usize {
  const copy = newLongChunk(<u32>load<u16>(chunk, CHUNK_KIND), load<i64>(chunk, CHUNK_MIN_TIME), load<u32>(chunk, CHUNK_PREV), n);
  if (copy == 0) return 0;
  const bytes = load<u32>(chunk, CHUNK_LONG_BYTES);
  memory.copy(copy + CHUNK_LONG_PAYLOAD, chunk + CHUNK_LONG_PAYLOAD, bytes);
  store<u32>(copy, bytes, CHUNK_LONG_BYTES);
  store<u32>(copy, load<u32>(chunk, CHUNK_SPAN), CHUNK_SPAN);
  store<u32>(copy, load<u32>(chunk, CHUNK_COUNT), CHUNK_COUNT);
  return copy;
}

/** Adds a histogram that is later than every in-order sample of the series to its newest chunk. False when memory is used up. */
export function histogramAppend(ref: u32, kind: u32, mode: u32, timeMs: f64, from: u32, p: usize, n: u32): bool {
  const s = seriesAt(ref);
  const t = <i64>timeMs;
  const flags = load<u32>(s, SERIES_FLAGS);
  const old = <usize>load<u32>(s, SERIES_CHUNK);
  if (mode == OPEN) {
    if (flags == FLAG_HISTOGRAM) trimHistogram(s);
    else if (flags == 0 && old != 0) trimChunk(s);
    const prev = load<u32>(s, SERIES_CHUNK);
    // A series' chunks resemble each other: the last one tells how large this one will be.
    let room = max<u32>(FIRST_BYTES, n + (n >> 1));
    if (prev != 0 && <u32>load<u16>(<usize>prev, CHUNK_KIND) == kind) room = max<u32>(room, load<u32>(<usize>prev, CHUNK_LONG_BYTES));
    const chunk = newLongChunk(kind, t, prev, room);
    if (chunk == 0) return false;
    noteChunk();
    memory.copy(chunk + CHUNK_LONG_PAYLOAD, p, n);
    store<u32>(chunk, n, CHUNK_LONG_BYTES);
    store<u32>(chunk, 1, CHUNK_COUNT);
    store<u32>(s, FLAG_HISTOGRAM, SERIES_FLAGS);
    // Until a float follows: the value in the record is none of this time.
    store<u32>(s, SERIES_BUSY, SERIES_BIT);
    store<i64>(s, t, SERIES_LAST_TIME);
    atomic.store<u32>(s + SERIES_CHUNK, <u32>chunk);
    noteTime(t, false);
    return true;
  }
  let chunk = old;
  const end = from + n;
  const capacity = load<u32>(old, CHUNK_LONG_CAPACITY);
  if (mode != EXTEND || end > capacity) {
    const room = mode != EXTEND && end <= capacity ? capacity : end + (end >> 1);
    chunk = copyOf(old, max<u32>(room, load<u32>(old, CHUNK_LONG_BYTES)));
    if (chunk == 0) return false;
  }
  // Of the byte in which the new bits begin the old ones stay as they are.
  memory.copy(chunk + CHUNK_LONG_PAYLOAD + from, p, n);
  store<i64>(s, t, SERIES_LAST_TIME);
  store<u32>(chunk, end, CHUNK_LONG_BYTES);
  store<u32>(chunk, <u32>(t - load<i64>(chunk, CHUNK_MIN_TIME)), CHUNK_SPAN);
  // Last, and atomically: a reader that sees this count sees every bit it needs.
  atomic.store<u32>(chunk + CHUNK_COUNT, load<u32>(chunk, CHUNK_COUNT) + 1);
  if (chunk != old) {
    atomic.store<u32>(s + SERIES_CHUNK, <u32>chunk);
    retire(old, chunkSize(old));
  }
  noteTime(t, false);
  return true;
}

// @ts-ignore: decorator
@inline function isSame(a: usize, b: usize, n: u32): bool {
  for (let i: u32 = 0; i < n; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false;
  return true;
}

/** Keeps a late histogram as a chunk of its own. Returns an outcome code, or -1 when memory is used up. */
export function histogramAppendLate(ref: u32, kind: u32, timeMs: f64, p: usize, n: u32): i32 {
  const s = seriesAt(ref);
  const t = <i64>timeMs;
  let late = <usize>load<u32>(s, SERIES_OOO);
  for (let i: u32 = 0; late != 0 && i < COMPARED_MAX; i++) {
    const found = <u32>load<u16>(late, CHUNK_KIND) & ~CHUNK_MARKED;
    if (found != CHUNK_KIND_RAW && load<i64>(late, CHUNK_MIN_TIME) == t) {
      const isRepeated = found == kind && load<u32>(late, CHUNK_LONG_BYTES) == n && isSame(late + CHUNK_LONG_PAYLOAD, p, n);
      return isRepeated ? <i32>CODE_DUPLICATE : <i32>CODE_NEW_VALUE;
    }
    late = <usize>load<u32>(late, CHUNK_PREV);
  }
  const chunk = newLongChunk(kind, t, load<u32>(s, SERIES_OOO), n);
  if (chunk == 0) return -1;
  memory.copy(chunk + CHUNK_LONG_PAYLOAD, p, n);
  store<u32>(chunk, n, CHUNK_LONG_BYTES);
  store<u32>(chunk, 1, CHUNK_COUNT);
  atomic.store<u32>(s + SERIES_OOO, <u32>chunk);
  noteTime(t, true);
  return <i32>CODE_ACCEPTED_OOO;
}
