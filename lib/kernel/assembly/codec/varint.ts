// Variable-length integers: seven bits per byte, low group first, the high bit of a byte set when more follow.

/** Where the last `readUvarint` or `readVarint` of this instance stopped; 0 when it failed. */
let cursor: usize = 0;

/** The address after the last varint read, or 0 when it ran past `end` or over 64 bits. */
// @ts-ignore: decorator
@inline
export function varintEnd(): usize {
  return cursor;
}

/** Reads an unsigned varint from [p, end). Ask `varintEnd()` for what follows; 0 there means it was bad. */
export function readUvarint(p: usize, end: usize): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; p < end && shift < 70; shift += 7) {
    const byte = load<u8>(p++);
    if (byte < 0x80) {
      // The tenth byte holds bit 63 only.
      cursor = shift == 63 && byte > 1 ? 0 : p;
      return value | ((<u64>byte) << shift);
    }
    value |= (<u64>(byte & 0x7f)) << shift;
  }
  cursor = 0;
  return 0;
}

/** Reads a zigzag varint, with the same report as `readUvarint`. */
// @ts-ignore: decorator
@inline
export function readVarint(p: usize, end: usize): i64 {
  const zigzag = readUvarint(p, end);
  return <i64>(zigzag >> 1) ^ -(<i64>(zigzag & 1));
}

/** Writes an unsigned varint, at most 10 bytes, and returns the address after it. */
export function writeUvarint(p: usize, value: u64): usize {
  while (value >= 0x80) {
    store<u8>(p++, <u8>value | 0x80);
    value >>= 7;
  }
  store<u8>(p, <u8>value);
  return p + 1;
}

/** Writes a zigzag varint, at most 10 bytes, and returns the address after it. */
// @ts-ignore: decorator
@inline
export function writeVarint(p: usize, value: i64): usize {
  return writeUvarint(p, (<u64>value << 1) ^ <u64>(value >> 63));
}
