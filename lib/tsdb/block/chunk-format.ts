/** Constants of chunk segment files. */
export const CHUNKS_DIRECTORY = 'chunks';
export const CHUNK_MAGIC = 0x85bd_40dd;
export const CHUNK_VERSION = 1;
/** Magic, version and three zero bytes. */
export const SEGMENT_HEADER_BYTES = 8;
export const SEGMENT_BYTES_MAX = 512 * 1024 * 1024;
/** Most bytes a chunk's uvarint length takes. */
export const CHUNK_LENGTH_BYTES_MAX = 5;
/** Encoding byte and checksum around the data. */
export const CHUNK_FRAME_BYTES = 5;
/** Chunk refs are `segment * SEGMENT_SCALE + offset`. */
export const SEGMENT_SCALE = 0x1_0000_0000;
