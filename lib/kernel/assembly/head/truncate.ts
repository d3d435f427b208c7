// Letting go of what a block has taken over, in slices short enough for the ingest thread. First the chunks that shall go
// into the block are marked; a worker thread writes the block from the marked chunks while ingestion goes on; then
// exactly the marked chunks leave the head, series without samples are removed, and their postings swept.
import { alloc, free } from './alloc';
import { sealChunk } from './append';
import { chunkSize } from './histograms';
import {
  CHUNK_BYTES, CHUNK_COUNT, CHUNK_HEADER_BYTES, CHUNK_KIND, CHUNK_KIND_RAW, CHUNK_MARKED, CHUNK_MIN_TIME, CHUNK_PAYLOAD,
  CHUNK_PREV, CHUNK_SPAN, NAME_NEXT, PAIR_DIRTY, ROOT_FIRST_NAME, ROOT_PAIR_LIMIT, ROOT_SERIES_LIMIT, SERIES_CHUNK,
  SERIES_OOO,
} from './layout';
import { retire } from './retire';
import { freeDeadPages, seriesAt, seriesLive, seriesRemove } from './series';
import { pairAt, postingsSweep, sweepName } from './symbols';

export let markedChunks: u32 = 0;
export let removedSeries: u32 = 0;
let markedMaxTime: i64 = i64.MIN_VALUE;

export function truncateBegin(): void {
  markedChunks = 0;
  removedSeries = 0;
  markedMaxTime = i64.MIN_VALUE;
}

/** Time of the newest sample in the chunks marked since truncateBegin, ms; -2^63 when there are none. */
export function markedMaxTimeMs(): f64 {
  return <f64>markedMaxTime;
}

// @ts-ignore: decorator
@inline function endOf(chunk: usize): i64 {
  return load<i64>(chunk, CHUNK_MIN_TIME) + <i64>load<u32>(chunk, CHUNK_SPAN);
}

// @ts-ignore: decorator
@inline function mark(chunk: usize): void {
  store<u16>(chunk, <u16>(<u32>load<u16>(chunk, CHUNK_KIND) | CHUNK_MARKED), CHUNK_KIND);
  markedChunks++;
  const end = endOf(chunk);
  if (end > markedMaxTime) markedMaxTime = end;
}

/** Splits an out-of-order chunk in two at `time`: `older` gets the earlier samples and takes the chunk's place in the chain. */
function splitRaw(link: usize, chunk: usize, time: i64): usize {
  const n = load<u32>(chunk, CHUNK_COUNT);
  let k: u32 = 0;
  while (load<i64>(chunk + (<usize>k << 4), CHUNK_PAYLOAD) < time) k++;
  const older = alloc(CHUNK_HEADER_BYTES + k * 16);
  const newer = alloc(CHUNK_HEADER_BYTES + (n - k) * 16);
  if (older == 0 || newer == 0) {
    if (older != 0) free(older, CHUNK_HEADER_BYTES + k * 16);
    return 0;
  }
  copyRaw(older, chunk, 0, k);
  copyRaw(newer, chunk, k, n - k);
  store<u32>(older, load<u32>(chunk, CHUNK_PREV), CHUNK_PREV);
  store<u32>(newer, <u32>older, CHUNK_PREV);
  atomic.store<u32>(link, <u32>newer);
  retire(chunk, CHUNK_HEADER_BYTES + n * 16);
  return older;
}

function copyRaw(to: usize, from: usize, start: u32, n: u32): void {
  memory.copy(to + CHUNK_PAYLOAD, from + CHUNK_PAYLOAD + (<usize>start << 4), <usize>n << 4);
  const first = load<i64>(to, CHUNK_PAYLOAD);
  const last = load<i64>(to + (<usize>(n - 1) << 4), CHUNK_PAYLOAD);
  store<u16>(to, <u16>(n << 4), CHUNK_BYTES);
  store<u16>(to, CHUNK_KIND_RAW, CHUNK_KIND);
  store<i64>(to, first, CHUNK_MIN_TIME);
  store<u32>(to, <u32>(last - first), CHUNK_SPAN);
  store<u32>(to, n, CHUNK_COUNT);
}

function markSeries(s: usize, time: i64): void {
  let chunk = <usize>load<u32>(s, SERIES_CHUNK);
  if (chunk != 0 && load<i64>(chunk, CHUNK_MIN_TIME) < time) {
    sealChunk(s);
    chunk = <usize>load<u32>(s, SERIES_CHUNK);
  }
  for (; chunk != 0; chunk = <usize>load<u32>(chunk, CHUNK_PREV)) {
    if ((<u32>load<u16>(chunk, CHUNK_KIND) & CHUNK_MARKED) != 0) break;
    if (load<i64>(chunk, CHUNK_MIN_TIME) < time) mark(chunk);
  }
  let link = s + SERIES_OOO;
  let late = <usize>load<u32>(link);
  while (late != 0) {
    if ((<u32>load<u16>(late, CHUNK_KIND) & CHUNK_MARKED) == 0) {
      if (endOf(late) < time) mark(late);
      else if (load<i64>(late, CHUNK_MIN_TIME) < time) {
        // Histograms are alone in their chunks: this one holds floats.
        const older = splitRaw(link, late, time);
        if (older != 0) late = older;
        mark(late);
      }
    }
    link = late + CHUNK_PREV;
    late = <usize>load<u32>(link);
  }
}

/**
 * Marks every sample before `timeMs`, for up to `budget` series from `ref` on: after the cut the log is not replayed for
 * them, so none may stay behind. A chunk that begins before and ends after goes as a whole (which happens when a head is
 * flushed while samples come in; at block borders chunks end anyway). Returns the next ref, 0 at the end.
 */
export function markSlice(ref: u32, budget: u32, timeMs: f64): u32 {
  const time = <i64>timeMs;
  const limit = load<u32>(ROOT_SERIES_LIMIT);
  for (; ref < limit && budget > 0; ref++, budget--) {
    if (seriesLive(ref)) markSeries(seriesAt(ref), time);
  }
  return ref < limit ? ref : 0;
}

function truncateSeries(ref: u32): void {
  const s = seriesAt(ref);
  let link = s + SERIES_CHUNK;
  let chunk = <usize>load<u32>(link);
  while (chunk != 0 && (<u32>load<u16>(chunk, CHUNK_KIND) & CHUNK_MARKED) == 0) {
    link = chunk + CHUNK_PREV;
    chunk = <usize>load<u32>(link);
  }
  if (chunk != 0) {
    atomic.store<u32>(link, 0);
    while (chunk != 0) {
      const prev = <usize>load<u32>(chunk, CHUNK_PREV);
      retire(chunk, chunkSize(chunk));
      chunk = prev;
    }
  }
  link = s + SERIES_OOO;
  let late = <usize>load<u32>(link);
  while (late != 0) {
    const prev = <usize>load<u32>(late, CHUNK_PREV);
    if ((<u32>load<u16>(late, CHUNK_KIND) & CHUNK_MARKED) != 0) {
      atomic.store<u32>(link, <u32>prev);
      retire(late, chunkSize(late));
    } else link = late + CHUNK_PREV;
    late = prev;
  }
  if (load<u32>(s, SERIES_CHUNK) == 0 && load<u32>(s, SERIES_OOO) == 0) {
    seriesRemove(ref);
    removedSeries++;
  }
}

/** Drops the marked chunks of up to `budget` series from `ref` on. Returns the next ref, 0 at the end. */
export function truncateSlice(ref: u32, budget: u32): u32 {
  const limit = load<u32>(ROOT_SERIES_LIMIT);
  for (; ref < limit && budget > 0; ref++, budget--) {
    if (seriesLive(ref)) truncateSeries(ref);
  }
  return ref < limit ? ref : 0;
}

/** Sweeps the postings of up to `budget` dirty pairs from `pair` on. Returns the next pair, 0 at the end. */
export function sweepPairsSlice(pair: u32, budget: u32): u32 {
  const limit = load<u32>(ROOT_PAIR_LIMIT);
  for (; pair < limit && budget > 0; pair++) {
    if (load<u32>(pairAt(pair), PAIR_DIRTY) == 0) continue;
    postingsSweep(pair);
    budget--;
  }
  return pair < limit ? pair : 0;
}

/** Last step: unlinks pairs without series, and frees pages of dead series. */
export function sweepNames(): u32 {
  let dropped: u32 = 0;
  for (let r = <usize>load<u32>(ROOT_FIRST_NAME); r != 0; r = <usize>load<u32>(r, NAME_NEXT)) dropped += sweepName(r);
  freeDeadPages();
  return dropped;
}
