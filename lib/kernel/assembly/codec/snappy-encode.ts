// Writes the snappy block format (see snappy.ts): a greedy matcher over fragments of 64 KiB, so that every offset
// fits in two bytes and every table entry too.

import { writeUvarint } from './varint';

const FRAGMENT_BYTES: usize = 65536;
const TABLE_BITS_MAX: u32 = 14;
/** Room that the vectors of a fragment's matcher need before its end. */
const MARGIN_BYTES: usize = 16;

/** Bytes that the caller must reserve at dst for n input bytes: the worst expansion and slack for whole vectors. */
export function snappyMaxEncodedLength(n: u32): u32 {
  return n + n / 6 + 96;
}

// @ts-ignore: decorator
@inline
function hashOf(bytes: u32, shift: u32): usize {
  return <usize>((bytes * 0x1e35a7bd) >> shift) << 1;
}

/** Writes a literal of 1..65536 bytes; may write 15 bytes more. */
// @ts-ignore: decorator
@inline
function putLiteral(op: usize, from: usize, length: u32): usize {
  const n = length - 1;
  if (n < 60) {
    store<u8>(op++, n << 2);
  } else if (n < 256) {
    store<u8>(op, 60 << 2);
    store<u8>(op + 1, n);
    op += 2;
  } else {
    store<u8>(op, 61 << 2);
    store<u16>(op + 1, n);
    op += 3;
  }
  if (length > 128) memory.copy(op, from, length);
  else for (let i: usize = 0; i < length; i += 16) v128.store(op + i, v128.load(from + i));
  return op + length;
}

/** Writes a copy of 4 or more bytes as elements of at most 64, none of them shorter than 4. */
// @ts-ignore: decorator
@inline
function putCopy(op: usize, offset: u32, length: u32): usize {
  while (length > 64) {
    const part: u32 = length >= 68 ? 64 : 60;
    store<u8>(op, ((part - 1) << 2) | 2);
    store<u16>(op + 1, offset);
    op += 3;
    length -= part;
  }
  if (length < 12 && offset < 2048) {
    store<u8>(op, ((offset >> 8) << 5) | ((length - 4) << 2) | 1);
    store<u8>(op + 1, offset);
    return op + 2;
  }
  store<u8>(op, ((length - 1) << 2) | 2);
  store<u16>(op + 1, offset);
  return op + 3;
}

/** The first address from p on, at most end, where the bytes differ from those at `candidate`. */
// @ts-ignore: decorator
@inline
function matchEnd(p: usize, candidate: usize, end: usize): usize {
  while (p + 8 <= end) {
    const difference = load<u64>(p) ^ load<u64>(candidate);
    if (difference != 0) return p + <usize>(ctz<u64>(difference) >> 3);
    p += 8;
    candidate += 8;
  }
  while (p < end && load<u8>(p) == load<u8>(candidate)) {
    p++;
    candidate++;
  }
  return p;
}

function encodeFragment(base: usize, length: u32, op: usize, table: usize): usize {
  const end = base + length;
  let emitted = base;
  if (length > <u32>MARGIN_BYTES) {
    // A small input gets a small table, because clearing it would cost more than the rest.
    let bits: u32 = 8;
    while (bits < TABLE_BITS_MAX && (<u32>1 << bits) < length) bits++;
    memory.fill(table, 0, <usize>2 << bits);
    const shift = 32 - bits;
    const last = end - MARGIN_BYTES;
    let p = base + 1;
    while (true) {
      // Steps grow while nothing matches: bytes that do not compress are passed over quickly.
      let skip: usize = 32;
      let candidate: usize = 0;
      while (p <= last) {
        const bytes = load<u32>(p);
        const slot = table + hashOf(bytes, shift);
        candidate = base + <usize>load<u16>(slot);
        store<u16>(slot, <u16>(p - base));
        if (bytes == load<u32>(candidate)) break;
        p += skip++ >> 5;
      }
      if (p > last) break;
      op = putLiteral(op, emitted, <u32>(p - emitted));
      // After a copy the next one often begins at once: tried without going through the literal again.
      while (true) {
        const start = p;
        p = matchEnd(p + 4, candidate + 4, end);
        op = putCopy(op, <u32>(start - candidate), <u32>(p - start));
        emitted = p;
        if (p > last) break;
        store<u16>(table + hashOf(load<u32>(p - 1), shift), <u16>(p - 1 - base));
        const bytes = load<u32>(p);
        const slot = table + hashOf(bytes, shift);
        candidate = base + <usize>load<u16>(slot);
        store<u16>(slot, <u16>(p - base));
        if (bytes != load<u32>(candidate)) break;
      }
      if (p > last) break;
      p++;
    }
  }
  return emitted < end ? putLiteral(op, emitted, <u32>(end - emitted)) : op;
}

/**
 * Encodes a block. 16 bytes after the source must be readable; dst needs `snappyMaxEncodedLength(srcLen)` bytes and
 * table 32768, whose content does not matter.
 * @returns the encoded length
 */
export function snappyEncode(src: usize, srcLen: u32, dst: usize, table: usize): u32 {
  let op = writeUvarint(dst, srcLen);
  const end = src + srcLen;
  for (; src < end; src += FRAGMENT_BYTES) {
    op = encodeFragment(src, <u32>min<usize>(end - src, FRAGMENT_BYTES), op, table);
  }
  return <u32>(op - dst);
}
