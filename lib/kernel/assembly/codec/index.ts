export { crc32c, crcInit } from './crc32c';
export { snappyDecode, snappyDeclaredLength } from './snappy';
export { xorDecode } from './xor';
