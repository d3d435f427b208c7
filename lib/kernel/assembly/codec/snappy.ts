// The snappy block format: a varint with the decoded length, then literals and copies.
//
//   tag & 3 = 0  literal, length - 1 in the upper six bits, or 60..63 and then in 1..4 following bytes
//             1  copy of 4..11 bytes: length - 4 in bits 2..4, offset = bits 5..7 and one byte
//             2  copy of 1..64 bytes: length - 1 in the upper six bits, offset in two bytes
//             3  the same with an offset of four bytes

const BAD_PREAMBLE: i32 = -1;
const TOO_LONG: i32 = -2;
const TRUNCATED: i32 = -3;
const BAD_OFFSET: i32 = -4;
const WRONG_LENGTH: i32 = -5;

let preambleEnd: usize = 0;

/** The decoded length that a block declares, or -1 when the preamble is cut off or above 32 bits. */
export function snappyDeclaredLength(src: usize, srcLen: u32): i64 {
  let length: u64 = 0;
  for (let i: u32 = 0; i < 5 && i < srcLen; i++) {
    const byte = load<u8>(src + i);
    length |= (<u64>(byte & 0x7f)) << (7 * i);
    if (byte < 0x80) {
      preambleEnd = src + i + 1;
      return length > 0xffffffff ? -1 : <i64>length;
    }
  }
  return -1;
}

// @ts-ignore: decorator
@inline
function copy16(from: usize, to: usize): void {
  v128.store(to, v128.load(from));
}

/**
 * Decodes a block to dst. 16 bytes after the source must be readable, 64 bytes after dst + dstCap writable: whole
 * vectors are moved, and what they leave beyond the decoded length is rubbish.
 * @returns the decoded length, or -1 bad preamble, -2 declared length above dstCap, -3 input ends within an element,
 * -4 copy offset 0 or before the start, -5 more or less output than declared
 */
export function snappyDecode(src: usize, srcLen: u32, dst: usize, dstCap: u32): i32 {
  const declared = snappyDeclaredLength(src, srcLen);
  if (declared < 0) return BAD_PREAMBLE;
  if (declared > <i64>dstCap || declared > i32.MAX_VALUE) return TOO_LONG;
  const srcEnd = src + srcLen;
  const dstEnd = dst + <usize>declared;
  let ip = preambleEnd;
  let op = dst;
  // Invariants: ip <= srcEnd and op <= dstEnd at the top. So an element's tag and its four trailer bytes can always
  // be read, and 64 bytes at op always be written.
  while (ip < srcEnd) {
    const tag = <u32>load<u8>(ip++);
    const kind = tag & 3;
    if (kind == 0) {
      let length = (tag >> 2) + 1;
      if (length > 60) {
        const extra = length - 60;
        if (extra > <u32>(srcEnd - ip)) return TRUNCATED;
        length = (load<u32>(ip) & (0xffffffff >> (32 - (extra << 3)))) + 1;
        ip += extra;
        // The length 2^32 wraps to 0, and is longer than any input.
        if (length == 0) return TRUNCATED;
      }
      if (length > <u32>(srcEnd - ip)) return TRUNCATED;
      if (length > <u32>(dstEnd - op)) return WRONG_LENGTH;
      copy16(ip, op);
      if (length > 16) {
        if (length > 256) memory.copy(op, ip, length);
        else for (let i: usize = 16; i < length; i += 16) copy16(ip + i, op + i);
      }
      ip += length;
      op += length;
      continue;
    }
    const extra = kind + (kind >> 1 & kind);
    if (extra > <u32>(srcEnd - ip)) return TRUNCATED;
    const trailer = load<u32>(ip) & (0xffffffff >> (32 - (extra << 3)));
    ip += extra;
    const isShort = kind == 1;
    const length = select<u32>(4 + (tag >> 2 & 7), 1 + (tag >> 2), isShort);
    const offset = select<u32>((tag & 0xe0) << 3 | trailer, trailer, isShort);
    // Offset 0 wraps round and fails too.
    if (offset - 1 >= <u32>(op - dst)) return BAD_OFFSET;
    if (length > <u32>(dstEnd - op)) return WRONG_LENGTH;
    let from = op - offset;
    const end = op + length;
    if (offset >= 16) {
      copy16(from, op);
      if (length > 16) {
        copy16(from + 16, op + 16);
        if (length > 32) {
          copy16(from + 32, op + 32);
          copy16(from + 48, op + 48);
        }
      }
    } else if (offset == 1) {
      // A run of one byte. In one vector: reading back what was just stored would stall at every step.
      const run = i8x16.splat(load<i8>(from));
      for (; op < end; op += 16) v128.store(op, run);
    } else if (offset == 8) {
      const run = i64x2.splat(load<i64>(from));
      for (; op < end; op += 16) v128.store(op, run);
    } else {
      // The copy overlaps itself. Each step doubles the distance, until a vector fits between source and target.
      while (op - from < 16 && op < end) {
        copy16(from, op);
        op += op - from;
      }
      for (; op < end; op += 16, from += 16) copy16(from, op);
    }
    op = end;
  }
  return op == dstEnd ? <i32>declared : WRONG_LENGTH;
}
