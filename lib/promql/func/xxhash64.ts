/**
 * xxHash64 with seed 0, for limit_ratio, which hashes each series once: written with BigInt for clarity, not speed.
 * Source: the xxHash specification, "XXH64 algorithm description".
 */

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;
const MASK = 0xffffffffffffffffn;

function rotl(x: bigint, bits: bigint): bigint {
  return ((x << bits) | (x >> (64n - bits))) & MASK;
}

function round(acc: bigint, lane: bigint): bigint {
  return (rotl((acc + lane * P2) & MASK, 31n) * P1) & MASK;
}

function mergeRound(acc: bigint, value: bigint): bigint {
  return ((acc ^ round(0n, value)) * P1 + P4) & MASK;
}

/** xxHash64 with seed 0. */
export function xxhash64(data: Buffer): bigint {
  let p = 0;
  let hash: bigint;
  if (data.length >= 32) {
    let v1 = (P1 + P2) & MASK;
    let v2 = P2;
    let v3 = 0n;
    let v4 = -P1 & MASK;
    for (; p + 32 <= data.length; p += 32) {
      v1 = round(v1, data.readBigUInt64LE(p));
      v2 = round(v2, data.readBigUInt64LE(p + 8));
      v3 = round(v3, data.readBigUInt64LE(p + 16));
      v4 = round(v4, data.readBigUInt64LE(p + 24));
    }
    hash = (rotl(v1, 1n) + rotl(v2, 7n) + rotl(v3, 12n) + rotl(v4, 18n)) & MASK;
    for (const v of [v1, v2, v3, v4]) hash = mergeRound(hash, v);
  } else hash = P5;
  hash = (hash + BigInt(data.length)) & MASK;
  for (; p + 8 <= data.length; p += 8) {
    hash = (rotl(hash ^ round(0n, data.readBigUInt64LE(p)), 27n) * P1 + P4) & MASK;
  }
  if (p + 4 <= data.length) {
    hash = (rotl(hash ^ ((BigInt(data.readUInt32LE(p)) * P1) & MASK), 23n) * P2 + P3) & MASK;
    p += 4;
  }
  for (; p < data.length; p++) hash = (rotl(hash ^ ((BigInt(data[p]!) * P5) & MASK), 11n) * P1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
  return hash ^ (hash >> 32n);
}
