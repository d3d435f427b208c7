/** Random numbers as the rest of the code sees them, so that a test or a simulation can replay a run from its seed. */
export interface Prng {
  /** A whole number of 32 bits, 0..2^32 - 1. */
  nextU32(): number;
  /** A number in [0, 1), with 53 random bits. */
  nextFloat(): number;
  /** A whole number in [0, bound), for bounds from 1 to 2^32. */
  nextInt(bound: number): number;
}

/**
 * A small seeded generator: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state. Passes the usual statistical
 * tests, is not for secrets.
 */
export class SeededPrng implements Prng {
  #a: number;
  #b: number;
  #c = 0x9e3779b9 | 0;
  #counter = 1;

  /** Equal seeds, taken as 53-bit integers, give equal sequences. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    // The first outputs still look like the seed.
    for (let i = 0; i < 12; i++) this.nextU32();
  }

  nextU32(): number {
    const out = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) | 0;
    return out >>> 0;
  }

  nextFloat(): number {
    const high = this.nextU32() >>> 5;
    const low = this.nextU32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  nextInt(bound: number): number {
    return Math.floor(this.nextFloat() * bound);
  }
}
