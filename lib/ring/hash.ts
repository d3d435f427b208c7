/** Mixes two words into one of 32 bits, each bit of which depends on all of theirs (constants of murmur3 and xxHash). */
export function mixWords(a: number, b: number): number {
  let word = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ b;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  word = Math.imul(word ^ (word >>> 16) ^ Math.imul(b, 0x27d4eb2f), 0x165667b1);
  word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d);
  return (word ^ (word >>> 12)) >>> 0;
}

/**
 * A word of 32 bits for a name: FNV-1a over its UTF-16 units, then mixed. All processes of a cluster must compute the
 * same: never change it without a new name for the clusters that use it.
 */
export function hashName(name: string, seed: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return mixWords(hash, seed);
}
