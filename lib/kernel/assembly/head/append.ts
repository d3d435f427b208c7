// Appending samples: in order into the open XOR chunk of the series, late ones into its out-of-order chunks.
import { alloc, blockBytes } from './alloc';
import {
  CHUNK_BYTES, CHUNK_COUNT, CHUNK_HEADER_BYTES, CHUNK_KIND, CHUNK_KIND_RAW, CHUNK_KIND_XOR, CHUNK_MIN_TIME, CHUNK_PAYLOAD,
  CHUNK_PREV, CHUNK_SPAN, CODE_ACCEPTED, CODE_ACCEPTED_OOO, CODE_COUNT, CODE_DUPLICATE, CODE_FUTURE, CODE_NEW_VALUE,
  CODE_OUT_OF_BOUNDS, CODE_OUT_OF_ORDER, CODE_SERIES_REFUSED, CODE_TOO_OLD, FLAG_HISTOGRAM, FLAG_SEALED, ROOT_CODE_COUNTS,
  ROOT_CODE_FIRST, ROOT_MAX_TIME, ROOT_MIN_TIME, SERIES_BIT, SERIES_CAPACITY, SERIES_CHUNK, SERIES_FLAGS, SERIES_LAST_DELTA,
  SERIES_BUSY, SERIES_LAST_TIME, SERIES_LAST_VALUE, SERIES_LEADING, SERIES_NEXT_AT, SERIES_OOO, SERIES_TRAILING,
} from './layout';
import { trimHistogram } from './histograms';
import { retire } from './retire';
import { seriesAt } from './series';
import { samplesAdd, samplesBegin, samplesEnd } from './wal';

// Prometheus' head cuts chunks the same way (spec: chunks, section 9), so that blocks come out alike.
const SAMPLES_PER_CHUNK: u32 = 120;
const SAMPLES_MAX: u32 = 240;
const CHUNK_BYTES_SOFT_MAX: u32 = 1024 - 19;
const CHUNK_FIRST_BYTES: u32 = 80;
const CHUNK_LARGEST_BYTES: u32 = 1152; // header, 1005 + 19 payload bytes, and the slack
const STORE_SLACK: u32 = 8; // the bit writer stores whole words
const OOO_SAMPLES_MAX: u32 = 32;
const SPAN_MAX: i64 = 0x7fffffff; // ms: the span of a chunk is a u32

const NO_TIME: i64 = i64.MIN_VALUE;
// Beyond these no calendar reaches; the margin keeps differences of times far from overflow.
const TIME_LIMIT: i64 = 8640000000000000;

const STALE: u64 = 0x7ff0000000000002;
// What came of an attempt to append in order, beside an outcome code: none of them reaches a caller of the kernel.
const FULL: i32 = -1; // memory is used up
const STALE_HISTOGRAM: i32 = 100; // a stale marker for a series of histograms: it has to become a histogram

let rangeMs: i64 = 7200000;
let windowMs: i64 = 0;
let maxTime: i64 = NO_TIME;
// The newest time when the request at hand began: the age of its samples is measured from there, in whatever order they
// stand, as Prometheus does. A head without samples begins with the first one it gets.
let boundTime: i64 = NO_TIME;
let minTime: i64 = i64.MAX_VALUE;
export let chunksMade: u32 = 0;
// Samples of the last batch that await their turn as histograms are chained through their values: index of the next one
// in the lower half, index of the series in the upper half.
export let firstStale: u32 = 0xffffffff;
let lastStale: u32 = 0xffffffff;

/** Settings of the head, ms. */
export function appendConfigure(chunkRangeMs: f64, outOfOrderWindowMs: f64): void {
  rangeMs = <i64>chunkRangeMs;
  windowMs = <i64>outOfOrderWindowMs;
}

export function appendReset(): void {
  maxTime = NO_TIME;
  boundTime = NO_TIME;
  raiseMinTime(9e18);
}

/** Notes the time of a histogram that was stored. */
export function noteTime(t: i64, isLate: bool): void {
  if (t < minTime) minTime = t;
  if (!isLate && t > maxTime) maxTime = t;
  if (boundTime == NO_TIME) boundTime = t;
  publishTimes();
}

export function noteChunk(): void {
  chunksMade++;
}

/** Notes that all samples before a time have left the head. */
export function raiseMinTime(timeMs: f64): void {
  minTime = <i64>timeMs;
  store<i64>(ROOT_MIN_TIME, minTime);
}

// @ts-ignore: decorator
@inline function putBits(base: usize, bit: u32, v: u64, n: u32): void {
  // n <= 56: the bits lie within the 8 bytes that begin at the bit's byte. Bits after the write position are zero.
  const p = base + (bit >> 3);
  store<u64>(p, load<u64>(p) | bswap<u64>(v << (64 - (bit & 7) - n)));
}

// @ts-ignore: decorator
@inline function put64(base: usize, bit: u32, v: u64): void {
  putBits(base, bit, v >> 32, 32);
  putBits(base, bit + 32, v & 0xffffffff, 32);
}

/** Notes the newest sample and the write position behind it, in the order on which readers rely. */
// @ts-ignore: decorator
@inline function setNewest(s: usize, t: i64, v: u64, bit: u32): void {
  store<u32>(s, bit | SERIES_BUSY, SERIES_BIT);
  store<i64>(s, t, SERIES_LAST_TIME);
  store<u64>(s, v, SERIES_LAST_VALUE);
  store<u32>(s, bit, SERIES_BIT);
}

function newChunk(s: usize, t: i64, v: u64): bool {
  // A series' chunks resemble each other: the last one tells how large this one will be, and spares copying as it grows.
  const old = load<u32>(s, SERIES_CHUNK);
  let wanted = CHUNK_FIRST_BYTES;
  if (old != 0) {
    wanted = max<u32>(wanted, <u32>load<u16>(<usize>old, CHUNK_BYTES) + CHUNK_HEADER_BYTES + 16);
    if (wanted > CHUNK_LARGEST_BYTES) wanted = CHUNK_LARGEST_BYTES;
  }
  const size = blockBytes(wanted);
  const chunk = alloc(wanted);
  if (chunk == 0) return false;
  chunksMade++;
  memory.fill(chunk, 0, size);
  store<u32>(chunk, old, CHUNK_PREV);
  store<u16>(chunk, CHUNK_KIND_XOR, CHUNK_KIND);
  store<i64>(chunk, t, CHUNK_MIN_TIME);
  // Payload: be16 count (left zero), zigzag varint time, 64 value bits.
  let p = chunk + CHUNK_PAYLOAD + 2;
  let z = <u64>((t << 1) ^ (t >> 63));
  while (z >= 0x80) {
    store<u8>(p++, <u8>z | 0x80);
    z >>= 7;
  }
  store<u8>(p++, <u8>z);
  store<u64>(p, bswap<u64>(v));
  p += 8;
  const bytes = <u32>(p - chunk) - CHUNK_HEADER_BYTES;
  store<u16>(chunk, <u16>bytes, CHUNK_BYTES);
  store<u16>(s, <u16>(size - CHUNK_HEADER_BYTES), SERIES_CAPACITY);
  store<u8>(s, 0xff, SERIES_LEADING);
  store<u8>(s, 0, SERIES_TRAILING);
  store<i32>(s, 0, SERIES_LAST_DELTA);
  let end = t / rangeMs;
  if (end * rangeMs > t) end--;
  store<u32>(s, <u32>((end + 1) * rangeMs - t), SERIES_NEXT_AT);
  store<u32>(s, 0, SERIES_FLAGS);
  store<u32>(chunk, 1, CHUNK_COUNT);
  // Before the chunk is published: who sees the chunk may take the newest sample from the series record.
  setNewest(s, t, v, bytes << 3);
  atomic.store<u32>(s + SERIES_CHUNK, <u32>chunk);
  return true;
}

/** Moves the finished chunk of a series into a block of its true size. */
export function trimChunk(s: usize): void {
  const chunk = <usize>load<u32>(s, SERIES_CHUNK);
  const size = CHUNK_HEADER_BYTES + <u32>load<u16>(s, SERIES_CAPACITY);
  const bytes = CHUNK_HEADER_BYTES + <u32>load<u16>(chunk, CHUNK_BYTES);
  if (blockBytes(bytes) >= size) return;
  const p = alloc(bytes);
  if (p == 0) return;
  memory.copy(p, chunk, bytes);
  store<u16>(s, <u16>(blockBytes(bytes) - CHUNK_HEADER_BYTES), SERIES_CAPACITY);
  atomic.store<u32>(s + SERIES_CHUNK, <u32>p);
  retire(chunk, size);
}

/** Ends the open chunk, so that its bytes no longer change. The next sample begins a new one. */
export function sealChunk(s: usize): void {
  const flags = load<u32>(s, SERIES_FLAGS);
  if (load<u32>(s, SERIES_CHUNK) == 0 || (flags & ~FLAG_HISTOGRAM) != 0) return;
  if (flags == FLAG_HISTOGRAM) trimHistogram(s);
  else trimChunk(s);
  store<u32>(s, flags | FLAG_SEALED, SERIES_FLAGS);
}

function growChunk(s: usize, chunk: usize): usize {
  const capacity = <u32>load<u16>(s, SERIES_CAPACITY);
  const size = CHUNK_HEADER_BYTES + capacity;
  const wanted = size < 128 ? 144 : size < 256 ? 256 : size < 448 ? 448 : size < 768 ? 768 : CHUNK_LARGEST_BYTES;
  const bigger = blockBytes(wanted);
  const p = alloc(wanted);
  if (p == 0) return 0;
  memory.copy(p, chunk, size);
  memory.fill(p + size, 0, bigger - size);
  store<u16>(s, <u16>(bigger - CHUNK_HEADER_BYTES), SERIES_CAPACITY);
  atomic.store<u32>(s + SERIES_CHUNK, <u32>p);
  retire(chunk, size);
  return p;
}

/** Begins a chunk after what is not an open chunk of floats. */
function appendToNew(s: usize, t: i64, v: u64): i32 {
  if (load<u32>(s, SERIES_FLAGS) == FLAG_HISTOGRAM) trimHistogram(s);
  return newChunk(s, t, v) ? <i32>CODE_ACCEPTED : FULL;
}

/** Appends a sample that is later than every in-order sample of the series: CODE_ACCEPTED, FULL or STALE_HISTOGRAM. */
function appendInOrder(s: usize, t: i64, v: u64): i32 {
  let chunk = <usize>load<u32>(s, SERIES_CHUNK);
  const flags = load<u32>(s, SERIES_FLAGS);
  if (chunk == 0 || flags != 0) {
    return v == STALE && (flags & FLAG_HISTOGRAM) != 0 ? STALE_HISTOGRAM : appendToNew(s, t, v);
  }
  let n = load<u32>(chunk, CHUNK_COUNT);
  let bit = load<u32>(s, SERIES_BIT);
  const minTime = load<i64>(chunk, CHUNK_MIN_TIME);
  const lastTime = load<i64>(s, SERIES_LAST_TIME);
  if (n == SAMPLES_PER_CHUNK / 4) {
    // Spread the samples that the range will bring evenly: a chunk shall not end up with a handful.
    const nextAt = <f64>load<u32>(s, SERIES_NEXT_AT);
    const parts = floor<f64>(nextAt / (<f64>(lastTime - minTime + 1) * 4.0));
    if (parts > 1.0) store<u32>(s, <u32>(nextAt / parts), SERIES_NEXT_AT);
  }
  if (t - minTime >= <i64>load<u32>(s, SERIES_NEXT_AT) || n >= SAMPLES_MAX || (bit + 7) >> 3 > CHUNK_BYTES_SOFT_MAX) {
    trimChunk(s);
    return newChunk(s, t, v) ? <i32>CODE_ACCEPTED : FULL;
  }
  // Sizes first, so that the chunk grows only when it must: most samples take two or three bytes, the worst nineteen.
  const delta = t - lastTime;
  const dod = delta - <i64>load<i32>(s, SERIES_LAST_DELTA);
  const x = v ^ load<u64>(s, SERIES_LAST_VALUE);
  let leading: u32 = 0;
  let trailing: u32 = 0;
  let significantBits: u32 = 0;
  let reuse = false;
  let need: u32 = 1;
  if (x != 0) {
    leading = min<u32>(<u32>clz<u64>(x), 31);
    trailing = <u32>ctz<u64>(x);
    const windowLeading = <u32>load<u8>(s, SERIES_LEADING);
    const windowTrailing = <u32>load<u8>(s, SERIES_TRAILING);
    reuse = windowLeading != 0xff && leading >= windowLeading && trailing >= windowTrailing;
    if (reuse) {
      leading = windowLeading;
      trailing = windowTrailing;
    }
    significantBits = 64 - leading - trailing;
    need = (reuse ? 2 : 13) + significantBits;
  }
  if (n == 1) need += 40;
  else need += dod == 0 ? 1 : dod >= -8191 && dod <= 8192 ? 16 : 68;
  if (((bit + need + 7) >> 3) + STORE_SLACK > <u32>load<u16>(s, SERIES_CAPACITY)) {
    chunk = growChunk(s, chunk);
    if (chunk == 0) return FULL;
  }
  const base = chunk + CHUNK_PAYLOAD;
  if (n == 1) {
    let d = <u64>delta;
    while (d >= 0x80) {
      putBits(base, bit, (d & 0x7f) | 0x80, 8);
      bit += 8;
      d >>= 7;
    }
    putBits(base, bit, d, 8);
    bit += 8;
  } else if (dod == 0) bit++;
  else if (dod >= -8191 && dod <= 8192) {
    putBits(base, bit, (<u64>2 << 14) | (<u64>dod & 0x3fff), 16);
    bit += 16;
  } else if (dod >= -65535 && dod <= 65536) {
    putBits(base, bit, (<u64>6 << 17) | (<u64>dod & 0x1ffff), 20);
    bit += 20;
  } else if (dod >= -524287 && dod <= 524288) {
    putBits(base, bit, (<u64>14 << 20) | (<u64>dod & 0xfffff), 24);
    bit += 24;
  } else {
    putBits(base, bit, 15, 4);
    put64(base, bit + 4, <u64>dod);
    bit += 68;
  }
  store<i32>(s, <i32>delta, SERIES_LAST_DELTA);
  if (x == 0) bit++;
  else {
    if (reuse) {
      putBits(base, bit, 2, 2);
      bit += 2;
    } else {
      putBits(base, bit, (<u64>3 << 11) | (<u64>leading << 6) | (<u64>significantBits & 63), 13);
      bit += 13;
      store<u8>(s, <u8>leading, SERIES_LEADING);
      store<u8>(s, <u8>trailing, SERIES_TRAILING);
    }
    const significant = x >> trailing;
    if (significantBits <= 56) putBits(base, bit, significant, significantBits);
    else {
      putBits(base, bit, significant >> 32, significantBits - 32);
      putBits(base, bit + significantBits - 32, significant & 0xffffffff, 32);
    }
    bit += significantBits;
  }
  setNewest(s, t, v, bit);
  store<u16>(chunk, <u16>((bit + 7) >> 3), CHUNK_BYTES);
  store<u32>(chunk, <u32>(t - minTime), CHUNK_SPAN);
  // Last, and atomically: a reader that sees this count sees every bit it needs.
  atomic.store<u32>(chunk + CHUNK_COUNT, n + 1);
  return <i32>CODE_ACCEPTED;
}

/**
 * Inserts a late sample into the newest out-of-order chunk, a sorted array that is replaced by a longer copy, so that
 * readers never see it half changed. Returns an outcome code, or -1 when memory is used up.
 */
function appendOutOfOrder(s: usize, t: i64, v: u64): i32 {
  let old = <usize>load<u32>(s, SERIES_OOO);
  let n: u32 = 0;
  let at: u32 = 0;
  let prev: u32 = 0;
  if (old != 0) {
    if (load<u32>(old, CHUNK_COUNT) >= OOO_SAMPLES_MAX || <u32>load<u16>(old, CHUNK_KIND) != CHUNK_KIND_RAW) {
      // Full, a histogram, or marked as on its way into a block: it must stay as it is.
      prev = <u32>old;
      old = 0;
    } else if (t - load<i64>(old, CHUNK_MIN_TIME) > SPAN_MAX || load<i64>(old, CHUNK_MIN_TIME) - t > SPAN_MAX) {
      prev = <u32>old;
      old = 0;
    } else {
      n = load<u32>(old, CHUNK_COUNT);
      prev = load<u32>(old, CHUNK_PREV);
      while (at < n && load<i64>(old + (<usize>at << 4), CHUNK_PAYLOAD) < t) at++;
      if (at < n && load<i64>(old + (<usize>at << 4), CHUNK_PAYLOAD) == t) {
        return load<u64>(old + (<usize>at << 4), CHUNK_PAYLOAD + 8) == v ? <i32>CODE_DUPLICATE : <i32>CODE_NEW_VALUE;
      }
    }
  }
  const chunk = alloc(CHUNK_HEADER_BYTES + (n + 1) * 16);
  if (chunk == 0) return -1;
  const payload = chunk + CHUNK_PAYLOAD;
  if (at > 0) memory.copy(payload, old + CHUNK_PAYLOAD, <usize>at << 4);
  store<i64>(payload + (<usize>at << 4), t);
  store<u64>(payload + (<usize>at << 4), v, 8);
  if (at < n) memory.copy(payload + (<usize>(at + 1) << 4), old + CHUNK_PAYLOAD + (<usize>at << 4), <usize>(n - at) << 4);
  store<u32>(chunk, prev, CHUNK_PREV);
  store<u16>(chunk, <u16>((n + 1) << 4), CHUNK_BYTES);
  store<u16>(chunk, CHUNK_KIND_RAW, CHUNK_KIND);
  const first = load<i64>(payload);
  store<i64>(chunk, first, CHUNK_MIN_TIME);
  const span = load<i64>(payload + (<usize>n << 4)) - first;
  store<u32>(chunk, <u32>span, CHUNK_SPAN);
  store<u32>(chunk, n + 1, CHUNK_COUNT);
  atomic.store<u32>(s + SERIES_OOO, <u32>chunk);
  if (old != 0) retire(old, CHUNK_HEADER_BYTES + n * 16);
  return <i32>CODE_ACCEPTED_OOO;
}

/** Takes one sample; returns its outcome code, FULL or STALE_HISTOGRAM. */
// @ts-ignore: decorator
@inline function appendSample(s: usize, t: i64, v: u64, futureLimit: i64): i32 {
  if (t > futureLimit) return <i32>CODE_FUTURE;
  if (t <= -TIME_LIMIT) return <i32>CODE_OUT_OF_BOUNDS;
  const lastTime = load<i64>(s, SERIES_LAST_TIME);
  if (t > lastTime) {
    // A young head takes any age; later, in-order samples may lie at most half a block range behind the newest.
    const bound = boundTime == NO_TIME ? NO_TIME : boundTime - (rangeMs >> 1);
    if (t >= bound) {
      const code = appendInOrder(s, t, v);
      if (code != <i32>CODE_ACCEPTED) return code;
      if (boundTime == NO_TIME) boundTime = t;
      if (t > maxTime) maxTime = t;
      if (t < minTime) minTime = t;
      return <i32>CODE_ACCEPTED;
    }
  } else if (t == lastTime) {
    if ((load<u32>(s, SERIES_FLAGS) & FLAG_HISTOGRAM) != 0) return v == STALE ? STALE_HISTOGRAM : <i32>CODE_NEW_VALUE;
    return load<u64>(s, SERIES_LAST_VALUE) == v ? <i32>CODE_DUPLICATE : <i32>CODE_NEW_VALUE;
  }
  const code = judgeLate(t);
  if (code != CODE_ACCEPTED_OOO) return <i32>code;
  if (v == STALE && (load<u32>(s, SERIES_FLAGS) & FLAG_HISTOGRAM) != 0) return STALE_HISTOGRAM;
  if (t < minTime) minTime = t;
  return appendOutOfOrder(s, t, v);
}

/** What becomes of a sample that is not in order: CODE_ACCEPTED_OOO within the window. */
function judgeLate(t: i64): u32 {
  if (windowMs > 0) return boundTime != NO_TIME && t >= boundTime - windowMs ? CODE_ACCEPTED_OOO : CODE_TOO_OLD;
  return boundTime == NO_TIME || t < boundTime - (rangeMs >> 1) ? CODE_OUT_OF_BOUNDS : CODE_OUT_OF_ORDER;
}

/**
 * What becomes of a histogram, by its time alone; nothing is stored. CODE_DUPLICATE means that the newest sample is a
 * histogram of this time, which the caller has to compare.
 */
export function histogramJudge(ref: u32, timeMs: f64, futureLimitMs: f64): u32 {
  const s = seriesAt(ref);
  const t = <i64>timeMs;
  if (t > min<i64>(<i64>futureLimitMs, TIME_LIMIT)) return CODE_FUTURE;
  if (t <= -TIME_LIMIT) return CODE_OUT_OF_BOUNDS;
  const lastTime = load<i64>(s, SERIES_LAST_TIME);
  if (t == lastTime) return (load<u32>(s, SERIES_FLAGS) & FLAG_HISTOGRAM) != 0 ? CODE_DUPLICATE : CODE_NEW_VALUE;
  if (t > lastTime && (boundTime == NO_TIME || t >= boundTime - (rangeMs >> 1))) return CODE_ACCEPTED;
  return judgeLate(t);
}

/**
 * Appends a batch and logs what was accepted in one samples record (room for it is reserved by the caller).
 *
 * Sample k of series i stands at times[k], values[k] for starts[i] <= k < starts[i + 1]; refs[i] = 0 means that the
 * series was refused. Counts and first indexes per outcome code go to the root record.
 * @returns number of series done, n unless memory was used up
 */
export function appendBatch(refs: usize, starts: usize, n: u32, times: usize, values: usize, futureLimitMs: f64): u32 {
  const futureLimit = min<i64>(<i64>futureLimitMs, TIME_LIMIT);
  for (let c: u32 = 0; c < CODE_COUNT; c++) {
    store<u32>(ROOT_CODE_COUNTS + (<usize>c << 2), 0);
    store<u32>(ROOT_CODE_FIRST + (<usize>c << 2), 0xffffffff);
  }
  firstStale = 0xffffffff;
  boundTime = maxTime;
  samplesBegin();
  let accepted: u32 = 0;
  let i: u32 = 0;
  let done = true;
  for (; i < n; i++) {
    const ref = load<u32>(refs + (<usize>i << 2));
    const end = load<u32>(starts + (<usize>i << 2), 4);
    let k = load<u32>(starts + (<usize>i << 2));
    if (ref == 0) {
      if (k < end) countCode(CODE_SERIES_REFUSED, k, end - k);
      continue;
    }
    const s = seriesAt(ref);
    for (; k < end; k++) {
      const t = load<i64>(times + (<usize>k << 3));
      const v = load<u64>(values + (<usize>k << 3));
      const code = appendSample(s, t, v, futureLimit);
      if (code == <i32>CODE_ACCEPTED) {
        accepted++;
        samplesAdd(ref, t, v);
      } else if (code < 0) {
        done = false;
        break;
      } else if (code == STALE_HISTOGRAM) {
        const entry = values + (<usize>k << 3);
        store<u32>(entry, 0xffffffff);
        store<u32>(entry, i, 4);
        if (firstStale == 0xffffffff) firstStale = k;
        else store<u32>(values + (<usize>lastStale << 3), k);
        lastStale = k;
      } else {
        if (code == <i32>CODE_ACCEPTED_OOO) samplesAdd(ref, t, v);
        countCode(<u32>code, k, 1);
      }
    }
    if (!done) break;
  }
  samplesEnd();
  store<u32>(ROOT_CODE_COUNTS, accepted);
  publishTimes();
  return i;
}

function countCode(code: u32, index: u32, by: u32): void {
  const slot = <usize>code << 2;
  store<u32>(ROOT_CODE_COUNTS + slot, load<u32>(ROOT_CODE_COUNTS + slot) + by);
  if (load<u32>(ROOT_CODE_FIRST + slot) == 0xffffffff) store<u32>(ROOT_CODE_FIRST + slot, index);
}

/** Takes a sample of the log, which says what was accepted in which order. False when memory is used up. */
export function replaySample(s: usize, t: i64, v: u64): bool {
  const lastTime = load<i64>(s, SERIES_LAST_TIME);
  if (t < minTime) minTime = t;
  if (t < lastTime) return appendOutOfOrder(s, t, v) >= 0;
  if (t == lastTime) return true;
  let code = appendInOrder(s, t, v);
  // A stale marker stays the float that it was when it was logged.
  if (code == STALE_HISTOGRAM) code = appendToNew(s, t, v);
  if (code == FULL) return false;
  if (t > maxTime) maxTime = t;
  return true;
}

/** Lets readers know the times of the samples taken. */
export function publishTimes(): void {
  store<i64>(ROOT_MAX_TIME, maxTime);
  store<i64>(ROOT_MIN_TIME, minTime);
}
