export { crc32cReference } from './crc32c.js';
export { type SnappyResult, snappyDecodeReference, snappyEncodeReference } from './snappy.js';
export { decodeXorReference, encodeXorReference, type RawSample } from './xor-chunk.js';
export { xxhash64Reference } from './xxhash64.js';
