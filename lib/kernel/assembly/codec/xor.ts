// Chunks of float samples with XOR-compressed values (Prometheus encoding 1).
//
//   be16 sample count | varint t0 | 64 bits v0 | uvarint t1 - t0 | value 1 | { dod of t | value } ... | zero padding
//   dod    0 | 10 + 14 bits | 110 + 17 | 1110 + 20 | 1111 + 64
//   value  0 unchanged | 10 + bits in the last window | 11 + 5 bits leading + 6 bits width + bits
//
// Bits are packed from the most significant down.

import { readUvarint, readVarint, varintEnd } from './varint';

/** The 64 bits from bit `pos` of base on, of which at least the upper 57 are there. Reads 8 bytes. */
// @ts-ignore: decorator
@inline
function peek57(base: usize, pos: usize): u64 {
  return bswap<u64>(load<u64>(base + (pos >> 3))) << (pos & 7);
}

/** The 64 bits from bit `pos` of base on. Reads 9 bytes. */
// @ts-ignore: decorator
@inline
function peek64(base: usize, pos: usize): u64 {
  const p = base + (pos >> 3);
  const shift = pos & 7;
  return (bswap<u64>(load<u64>(p)) << shift) | (<u64>load<u8>(p, 8) >> (8 - shift));
}

/** The signed value of n bits: the pattern 100..0 is positive, unlike in two's complement. */
// @ts-ignore: decorator
@inline
function dodOf(raw: u64, n: u64): i64 {
  return <i64>(raw - (<u64>(raw > <u64>1 << (n - 1)) << n));
}

// Bits in which the times decoded so far differ from what their columns held before.
let changes: u64 = 0;

/** Begins to watch whether decoding changes the columns of times. */
// @ts-ignore: decorator
@inline
export function watchTimes(): void {
  changes = 0;
}

/** Whether all times decoded since `watchTimes` stood where they were written already. */
// @ts-ignore: decorator
@inline
export function sameTimes(): bool {
  return changes == 0;
}

/**
 * Decodes a whole chunk to columns: timestamps as f64 ms and values as raw bits, never touched by a float operation,
 * so stale markers and other NaNs stay as they are. Both columns must hold the declared number of samples; up to 16
 * bytes after the chunk are read.
 * @returns the sample count, or -1 when the bits run out, or -2 when a value's window is wider than 64 bits
 */
export function xorDecode(chunk: usize, len: u32, tsOut: usize, valuesOut: usize): i32 {
  if (len < 2) return -1;
  const count = <u32>bswap<u16>(load<u16>(chunk));
  if (count == 0) return 0;
  const end = chunk + len;
  let t = readVarint(chunk + 2, end);
  let p = varintEnd();
  if (p == 0 || end - p < 8) return -1;
  let bits = bswap<u64>(load<u64>(p));
  p += 8;
  let changed = load<u64>(tsOut) ^ reinterpret<u64>(<f64>t);
  store<f64>(tsOut, <f64>t);
  store<u64>(valuesOut, bits);
  if (count == 1) {
    changes |= changed;
    return 1;
  }
  let delta = <i64>readUvarint(p, end);
  p = varintEnd();
  if (p == 0) return -1;

  // Positions count bits from p on. One comparison per sample is enough, as a sample that starts within the chunk
  // reads less than 16 bytes beyond its end.
  const limit = (end - p) << 3;
  let pos: usize = 0;
  let width: u64 = 64;
  let trailing: u64 = 0;
  const tsEnd = tsOut + (count << 3);
  // The second sample has its time already; from the third on a time stands before each value.
  t += delta;
  let word = peek57(p, 0);
  while (true) {
    tsOut += 8;
    valuesOut += 8;
    const time = <f64>t;
    changed |= load<u64>(tsOut) ^ reinterpret<u64>(time);
    store<f64>(tsOut, time);
    if (<i64>word >= 0) pos += 1;
    else {
      if ((word & 0x4000000000000000) == 0) pos += 2;
      else {
        width = (word >> 51) & 63;
        width = width == 0 ? 64 : width;
        trailing = 64 - (word >> 57 & 31) - width;
        if (<i64>trailing < 0) return -2;
        pos += 13;
      }
      bits ^= peek64(p, pos) >> (64 - width) << trailing;
      pos += <usize>width;
    }
    store<u64>(valuesOut, bits);
    if (pos > limit) return -1;
    if (tsOut + 8 == tsEnd) break;

    word = peek57(p, pos);
    if (<i64>word >= 0) {
      pos += 1;
      word <<= 1;
    } else if ((word & 0x4000000000000000) == 0) {
      // Apart from the wider fields because it is the common one: its length is known without looking at the bits,
      // so the next load need not wait for this one.
      delta += dodOf(word << 2 >> 50, 14);
      pos += 16;
      word <<= 16;
    } else {
      const ones = clz<u64>(~word);
      if (ones < 4) {
        const n = 11 + 3 * ones;
        delta += dodOf(word << (ones + 1) >> (64 - n), n);
        pos += <usize>(ones + 1 + n);
        word <<= ones + 1 + n;
      } else {
        pos += 4;
        // Checked here already: what follows these bits could lie too far beyond the end to be read.
        if (pos + 64 > limit) return -1;
        delta += <i64>peek64(p, pos);
        pos += 64;
        word = peek57(p, pos);
      }
    }
    t += delta;
  }
  changes |= changed;
  return <i32>count;
}
