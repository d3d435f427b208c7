// CRC-32C (Castagnoli, reflected polynomial 82f63b78), eight bytes per step with eight tables ("slice-by-8").

const TABLES: usize = 8192;
const POLYNOMIAL: u32 = 0x82f63b78;

/** Fills the tables at 8192..16383. Once per memory, before the first `crc32c`; repeating it does no harm. */
export function crcInit(): void {
  for (let i: u32 = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (POLYNOMIAL & (0 - (crc & 1)));
    store<u32>(TABLES + (i << 2), crc);
  }
  for (let i: u32 = 256; i < 2048; i++) {
    const crc = load<u32>(TABLES + ((i - 256) << 2));
    store<u32>(TABLES + (i << 2), (crc >> 8) ^ load<u32>(TABLES + ((crc & 0xff) << 2)));
  }
}

// @ts-ignore: decorator
@inline
function entry(table: usize, index: u64): u32 {
  return load<u32>(TABLES + (table << 10) + ((<usize>index & 0xff) << 2));
}

/** Continues a checksum: `crc` is that of the bytes before [ptr, ptr + len), 0 when there are none. */
export function crc32cUpdate(crc: u32, ptr: usize, len: u32): u32 {
  crc = ~crc;
  const end = ptr + len;
  const wordsEnd = ptr + (len & ~7);
  while (ptr < wordsEnd) {
    const word = load<u64>(ptr) ^ <u64>crc;
    crc =
      entry(7, word) ^ entry(6, word >> 8) ^ entry(5, word >> 16) ^ entry(4, word >> 24) ^
      entry(3, word >> 32) ^ entry(2, word >> 40) ^ entry(1, word >> 48) ^ entry(0, word >> 56);
    ptr += 8;
  }
  while (ptr < end) crc = (crc >> 8) ^ entry(0, <u64>(crc ^ <u32>load<u8>(ptr++)));
  return ~crc;
}

/** The checksum of [ptr, ptr + len), inverted at both ends as usual: "123456789" gives e3069283. */
export function crc32c(ptr: usize, len: u32): u32 {
  return crc32cUpdate(0, ptr, len);
}
