export { crc32c, crc32cUpdate, crcInit } from './crc32c';
export { snappyDecode, snappyDeclaredLength } from './snappy';
export { snappyEncode, snappyMaxEncodedLength } from './snappy-encode';
export { xorDecode } from './xor';
export { xorEncode } from './xor-encode';
export { xxhash64 } from './xxhash64';
