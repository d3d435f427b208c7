// Writes chunks of float samples with XOR-compressed values (Prometheus encoding 1); the layout is in xor.ts.

import { writeUvarint, writeVarint } from './varint';

// The bit writer: bits not yet stored, from the top of the word down, how many (0..63), and where they go.
let word: u64 = 0;
let fill: u64 = 0;
let target: usize = 0;

/** Appends the low n bits of v, 1..64, the others being zero. */
// @ts-ignore: decorator
@inline
function putBits(v: u64, n: u64): void {
  const room = 64 - fill;
  if (n < room) {
    word |= v << (room - n);
    fill += n;
  } else {
    fill = n - room;
    store<u64>(target, bswap<u64>(word | (v >> fill)));
    target += 8;
    // Two shifts, as one by 64 would be none.
    word = v << (63 - fill) << 1;
  }
}

/**
 * Encodes n samples, 0..65535, into one chunk, bit by bit as Prometheus does.
 * @param ts f64 ms, ascending
 * @param values raw bits
 * @param dst 20 + 19 * n bytes, whatever they hold
 * @returns the bytes of the chunk
 */
export function xorEncode(ts: usize, values: usize, n: u32, dst: usize): u32 {
  store<u16>(dst, bswap<u16>(<u16>n));
  if (n == 0) return 2;
  let t = <i64>load<f64>(ts);
  let bits = load<u64>(values);
  let p = writeVarint(dst + 2, t);
  store<u64>(p, bswap<u64>(bits));
  p += 8;
  if (n == 1) return <u32>(p - dst);
  let delta = <i64>load<f64>(ts, 8) - t;
  target = writeUvarint(p, <u64>delta);
  word = 0;
  fill = 0;
  // No window yet: leading and trailing that no value reaches.
  let leading: u64 = 65;
  let trailing: u64 = 65;
  const end = ts + (n << 3);
  t += delta;
  // What stands before the value code of a sample, put together with it: first nothing, later the dod.
  let head: u64 = 0;
  let headBits: u64 = 0;
  ts += 8;
  while (true) {
    values += 8;
    const next = load<u64>(values);
    const x = next ^ bits;
    bits = next;
    if (x == 0) {
      putBits(head << 1, headBits + 1);
    } else {
      const zerosBefore = clz<u64>(x);
      const zerosAfter = ctz<u64>(x);
      if (zerosBefore >= leading && zerosAfter >= trailing) {
        putBits((head << 2) | 2, headBits + 2);
      } else {
        leading = min<u64>(zerosBefore, 31);
        trailing = zerosAfter;
        putBits((head << 13) | (3 << 11) | (leading << 6) | ((64 - leading - trailing) & 63), headBits + 13);
      }
      putBits(x >> trailing, 64 - leading - trailing);
    }
    ts += 8;
    if (ts >= end) break;
    const nextT = <i64>load<f64>(ts);
    const dod = nextT - t - delta;
    delta = nextT - t;
    t = nextT;
    if (dod == 0) {
      head = 0;
      headBits = 1;
    } else if (dod >= -8191 && dod <= 8192) {
      head = (2 << 14) | (<u64>dod & 0x3fff);
      headBits = 16;
    } else if (dod >= -65535 && dod <= 65536) {
      head = (6 << 17) | (<u64>dod & 0x1ffff);
      headBits = 20;
    } else if (dod >= -524287 && dod <= 524288) {
      head = (14 << 20) | (<u64>dod & 0xfffff);
      headBits = 24;
    } else {
      putBits(15, 4);
      putBits(<u64>dod, 64);
      head = 0;
      headBits = 0;
    }
  }
  store<u64>(target, bswap<u64>(word));
  return <u32>(target - dst + <usize>((fill + 7) >> 3));
}
