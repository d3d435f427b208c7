// A 128-bit fingerprint of the encoded labels of a series, from which a head knows it again without comparing (or
// even keeping) the bytes. The first half is XXH64 with a seed, the second an independent rotate-multiply hash over
// the same words with a secret seed, computed in the same pass. Two label sets of one tenant are confused with
// a probability below 2^-70 at 100 million series; docs/decisions/0001 has the reasoning.

const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;
const P4: u64 = 0x85ebca77c2b2ae63;
const P5: u64 = 0x27d4eb2f165667c5;
const Q1: u64 = 0xd6e8feb86659fd93;
const Q2: u64 = 0xa0761d6478bd642f;

let seed1: u64 = 0;
let seed2: u64 = 0;
export let hash1: u64 = 0;
export let hash2: u64 = 0;

export function fingerprintSeed(seed1Low: u32, seed1High: u32, seed2Low: u32, seed2High: u32): void {
  seed1 = <u64>seed1Low | (<u64>seed1High << 32);
  seed2 = <u64>seed2Low | (<u64>seed2High << 32);
}

// @ts-ignore: decorator
@inline function round1(v: u64, x: u64): u64 {
  return rotl<u64>(v + x * P2, 31) * P1;
}

// @ts-ignore: decorator
@inline function round2(w: u64, x: u64): u64 {
  return rotl<u64>(w ^ x, 27) * Q1;
}

// @ts-ignore: decorator
@inline function merge1(h: u64, v: u64): u64 {
  return (h ^ round1(0, v)) * P1 + P4;
}

/** Sets hash1 and hash2. Reads only [p, p + len). */
export function fingerprint(p: usize, len: u32): void {
  const end = p + len;
  let h: u64;
  let g: u64;
  if (len >= 32) {
    let v1 = seed1 + P1 + P2;
    let v2 = seed1 + P2;
    let v3 = seed1;
    let v4 = seed1 - P1;
    let w1 = seed2;
    let w2 = seed2 ^ Q2;
    let w3 = ~seed2;
    let w4 = seed2 + Q2;
    const last = end - 32;
    do {
      const x1 = load<u64>(p);
      const x2 = load<u64>(p, 8);
      const x3 = load<u64>(p, 16);
      const x4 = load<u64>(p, 24);
      v1 = round1(v1, x1);
      v2 = round1(v2, x2);
      v3 = round1(v3, x3);
      v4 = round1(v4, x4);
      w1 = round2(w1, x1);
      w2 = round2(w2, x2);
      w3 = round2(w3, x3);
      w4 = round2(w4, x4);
      p += 32;
    } while (p <= last);
    h = rotl<u64>(v1, 1) + rotl<u64>(v2, 7) + rotl<u64>(v3, 12) + rotl<u64>(v4, 18);
    h = merge1(h, v1);
    h = merge1(h, v2);
    h = merge1(h, v3);
    h = merge1(h, v4);
    g = round2(round2(round2(w1, w2), w3), w4);
  } else {
    h = seed1 + P5;
    g = seed2;
  }
  h += <u64>len;
  g ^= <u64>len;
  while (p + 8 <= end) {
    const x = load<u64>(p);
    h = rotl<u64>(h ^ round1(0, x), 27) * P1 + P4;
    g = round2(g, x);
    p += 8;
  }
  if (p + 4 <= end) {
    const x = <u64>load<u32>(p);
    h = rotl<u64>(h ^ (x * P1), 23) * P2 + P3;
    g = round2(g, x);
    p += 4;
  }
  while (p < end) {
    const x = <u64>load<u8>(p);
    h = rotl<u64>(h ^ (x * P5), 11) * P1;
    g = round2(g, x);
    p++;
  }
  h ^= h >> 33;
  h *= P2;
  h ^= h >> 29;
  h *= P3;
  hash1 = h ^ (h >> 32);
  g ^= g >> 32;
  g *= Q2;
  hash2 = g ^ (g >> 29);
}
