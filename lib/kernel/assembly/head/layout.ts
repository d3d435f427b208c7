// The memory of a head, laid out by hand. One thread writes; query threads read the same shared memory through
// lib/tsdb/head/head-memory.ts, which repeats these offsets (a test holds the two equal). What readers follow is
// published with atomic stores after the thing it points to is complete, and memory that they may still hold is
// retired, not freed, until every query that was running has ended (retire.ts).
//
//   1024   root record                 fields below
//   2048   free lists of the allocator, one u32 per size class
//   8192   CRC-32C tables
//   ROOT_SYMBOL_DIR, ROOT_PAIR_DIR, ROOT_SERIES_DIR   directories of pages, 4096 records a page
//   HEAP   everything else

// Root record.
export const ROOT: usize = 1024;
export const ROOT_SERIES_LIMIT: usize = 1024; // u32, one above the highest series ref in use
export const ROOT_SYMBOL_LIMIT: usize = 1028; // u32
export const ROOT_PAIR_LIMIT: usize = 1032; // u32
export const ROOT_SYMBOL_TABLE: usize = 1036; // u32, hash table of symbols: u32 mask, then ids
export const ROOT_FIRST_NAME: usize = 1040; // u32, first record of the chain of label names
export const ROOT_GENERATION: usize = 1044; // u32, grows whenever a symbol or a pair becomes unreachable
export const ROOT_SERIES_COUNT: usize = 1048; // u32, live series
export const ROOT_PAIR_TABLE: usize = 1052; // u32, hash table of pairs: u32 mask, then ids
export const ROOT_MAX_TIME: usize = 1056; // i64
export const ROOT_MIN_TIME: usize = 1064; // i64, about the time of the oldest sample
export const ROOT_CODE_COUNTS: usize = 1088; // u32 per outcome code of the last batch
export const ROOT_CODE_FIRST: usize = 1152; // u32 per outcome code: index of its first sample

export const FREE_LISTS: usize = 2048;

export const SYMBOL_DIR: usize = 0x10000;
export const PAIR_DIR: usize = 0x50000;
export const SERIES_DIR: usize = 0x90000;
export const HEAP: usize = 0x490000;

export const PAGE_BITS: u32 = 12;
export const PAGE_MASK: u32 = 4095;
export const DIR_SMALL_PAGES: u32 = 65536;

// Symbol: an interned string.
export const SYMBOL_BYTES: u32 = 16;
export const SYMBOL_TEXT: usize = 0; // u32 -> u32 byte length, bytes
export const SYMBOL_HASH: usize = 4; // u32
export const SYMBOL_NAME: usize = 8; // u32 -> name record, when the symbol is a label name
export const SYMBOL_USES: usize = 12; // u32, pairs that refer to it

// Name record: a label name and the chain of its pairs.
export const NAME_BYTES: u32 = 16;
export const NAME_SYMBOL: usize = 0;
export const NAME_FIRST_PAIR: usize = 4;
export const NAME_PAIR_COUNT: usize = 8;
export const NAME_NEXT: usize = 12;

// Pair: a label name with one value, and its postings.
export const PAIR_BYTES: u32 = 32;
export const PAIR_NAME: usize = 0;
export const PAIR_VALUE: usize = 4;
export const PAIR_NEXT: usize = 8; // u32, next pair id of the same name
export const PAIR_COUNT: usize = 12; // u32, series ever added and not yet swept
export const PAIR_POSTINGS: usize = 16; // u32: (ref << 1) | 1 for a single series, else -> first postings block, 0 none
export const PAIR_TAIL: usize = 20; // u32 -> last postings block; writer only
export const PAIR_DIRTY: usize = 24; // u32, dead series in its postings; writer only
export const PAIR_FREE_NEXT: usize = 28; // u32, chain of free ids

// Postings block: u32 next, u32 count, u32 capacity, u32 pad, refs.
export const POSTINGS_NEXT: usize = 0;
export const POSTINGS_COUNT: usize = 4;
export const POSTINGS_CAPACITY: usize = 8;
export const POSTINGS_REFS: usize = 16;

// Series record: one cache line.
export const SERIES_BYTES: u32 = 64;
export const SERIES_HASH1: usize = 0; // u64
export const SERIES_HASH2: usize = 8; // u64
export const SERIES_LABELS: usize = 16; // u32 -> u32 count, pair ids by label name; 0 when the series is dead
export const SERIES_CHUNK: usize = 20; // u32 -> newest chunk
export const SERIES_LAST_TIME: usize = 24; // i64
export const SERIES_LAST_VALUE: usize = 32; // u64
export const SERIES_LAST_DELTA: usize = 40; // i32
export const SERIES_BIT: usize = 44; // u32, write position in the payload of the open chunk; SERIES_BUSY beside it
export const SERIES_NEXT_AT: usize = 48; // u32, ms after the chunk's first sample at which the next chunk begins
export const SERIES_OOO: usize = 52; // u32 -> newest out-of-order chunk
export const SERIES_CAPACITY: usize = 56; // u16, payload bytes of the open chunk
export const SERIES_LEADING: usize = 58; // u8
export const SERIES_TRAILING: usize = 59; // u8
export const SERIES_FLAGS: usize = 60; // u32, FLAG_*

// Set while time and value of the newest sample change: and while it is a histogram: readers take them from the record only where it is not set.
export const SERIES_BUSY: u32 = 0x80000000;

// The newest chunk takes no more samples.
export const FLAG_SEALED: u32 = 1;
// No sample yet.
export const FLAG_EMPTY: u32 = 2;
// The record of a ref that the log used for a series which lives under another ref: SERIES_CHUNK holds that one. Such
// records have no labels and stand for nothing but samples still to be replayed.
export const FLAG_FORWARD: u32 = 4;
// The newest in-order sample is a native histogram: the fields of the bit writer and the last value mean nothing.
export const FLAG_HISTOGRAM: u32 = 8;

// Chunk: header and payload. The payload is a Prometheus XOR chunk whose first two bytes (the big-endian sample count)
// are filled in by whoever copies it out; the true count stands in the header and is stored last.
export const CHUNK_HEADER_BYTES: u32 = 24;
export const CHUNK_PREV: usize = 0; // u32 -> next older chunk
export const CHUNK_BYTES: usize = 4; // u16, payload bytes in use; 0 in chunks of histograms
export const CHUNK_KIND: usize = 6; // u16, CHUNK_KIND_*
export const CHUNK_MIN_TIME: usize = 8; // i64
export const CHUNK_SPAN: usize = 16; // u32, last time - first time
export const CHUNK_COUNT: usize = 20; // u32 (atomic), samples
export const CHUNK_PAYLOAD: usize = 24;

export const CHUNK_KIND_XOR: u32 = 1;
// Samples as they are, sorted by time: i64 time, u64 value bits. Only for the newest out-of-order samples.
export const CHUNK_KIND_RAW: u32 = 2;
// Prometheus chunks of integer and of float histograms (encodings 2 and 3). Their length needs more than 16 bits: two
// words stand before the payload, and CHUNK_BYTES is 0. Late histograms are chunks of one sample each.
export const CHUNK_KIND_HISTOGRAM: u32 = 3;
export const CHUNK_KIND_FLOAT_HISTOGRAM: u32 = 4;
export const CHUNK_LONG_BYTES: usize = 24; // u32, payload bytes in use
export const CHUNK_LONG_CAPACITY: usize = 28; // u32, payload bytes of the block
export const CHUNK_LONG_PAYLOAD: usize = 32;
// Set beside the kind when the chunk goes into the block that is being cut: the block takes the marked chunks, and
// exactly those leave the head once the block is safe.
export const CHUNK_MARKED: u32 = 0x100;

// Outcome of one sample.
export const CODE_ACCEPTED: u32 = 0;
export const CODE_ACCEPTED_OOO: u32 = 1;
export const CODE_DUPLICATE: u32 = 2;
export const CODE_TOO_OLD: u32 = 3;
export const CODE_NEW_VALUE: u32 = 4;
export const CODE_FUTURE: u32 = 5;
export const CODE_OUT_OF_ORDER: u32 = 6;
export const CODE_OUT_OF_BOUNDS: u32 = 7;
export const CODE_SERIES_REFUSED: u32 = 8;
export const CODE_COUNT: u32 = 9;
