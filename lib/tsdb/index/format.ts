/** Constants of index files, version 2. */
export const INDEX_MAGIC = 0xbaaa_d700;
export const INDEX_VERSION = 2;
/** Magic and version. */
export const INDEX_HEADER_BYTES = 5;
/** Six offsets and their CRC at the end of the file. */
export const TOC_BYTES = 52;
/** Series entries begin at multiples of this; a series ref is the offset divided by it. */
export const SERIES_ALIGNMENT = 16;
/** Symbols and postings offsets are remembered in steps of this many; those between are found by scanning. */
export const SAMPLE_STEP = 32;
/** Sections carry their length in 32 bits. */
export const SECTION_BYTES_MAX = 0xffff_ffff;
