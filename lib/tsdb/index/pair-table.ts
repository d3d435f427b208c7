/**
 * Numbers the distinct (name symbol, value symbol) pairs of an index in order of appearance and counts the series of
 * each: an open-addressing hash table in typed arrays, about 28 bytes per pair.
 */
export class PairTable {
  count: number;
  names: Uint32Array;
  values: Uint32Array;
  seriesCounts: Uint32Array;
  /** Pair number + 1 per slot, 0 when free. */
  #slots: Uint32Array;
  #mask: number;

  constructor() {
    this.count = 0;
    this.names = new Uint32Array(1024);
    this.values = new Uint32Array(1024);
    this.seriesCounts = new Uint32Array(1024);
    this.#slots = new Uint32Array(4096);
    this.#mask = 4095;
  }

  /** The number of a pair, new or known; counts one more series for it. */
  add(name: number, value: number): number {
    const slots = this.#slots;
    let slot = hash(name, value) & this.#mask;
    for (;;) {
      const held = slots[slot]!;
      if (held === 0) break;
      const pair = held - 1;
      if (this.values[pair] === value && this.names[pair] === name) {
        this.seriesCounts[pair]!++;
        return pair;
      }
      slot = (slot + 1) & this.#mask;
    }
    const pair = this.count++;
    if (pair === this.names.length) this.#growPairs();
    this.names[pair] = name;
    this.values[pair] = value;
    this.seriesCounts[pair] = 1;
    slots[slot] = pair + 1;
    if (this.count * 2 > slots.length) this.#growSlots();
    return pair;
  }

  /** Pair numbers by ascending (name, value). */
  sorted(): Uint32Array {
    const names = Uint32Array.from(new Set(this.names.subarray(0, this.count))).sort();
    const ranks = new Map<number, number>();
    for (let i = 0; i < names.length; i++) ranks.set(names[i]!, i);
    // Name rank and value fit one double exactly, and numbers sort natively.
    const keys = new Float64Array(this.count);
    for (let pair = 0; pair < this.count; pair++) {
      keys[pair] = ranks.get(this.names[pair]!)! * 0x1_0000_0000 + this.values[pair]!;
    }
    keys.sort();
    const order = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i++) {
      const key = keys[i]!;
      order[i] = this.#find(names[Math.floor(key / 0x1_0000_0000)]!, key % 0x1_0000_0000);
    }
    return order;
  }

  #find(name: number, value: number): number {
    let slot = hash(name, value) & this.#mask;
    for (;;) {
      const pair = this.#slots[slot]! - 1;
      if (this.values[pair] === value && this.names[pair] === name) return pair;
      slot = (slot + 1) & this.#mask;
    }
  }

  #growPairs(): void {
    const capacity = this.names.length * 2;
    this.names = grown(this.names, capacity);
    this.values = grown(this.values, capacity);
    this.seriesCounts = grown(this.seriesCounts, capacity);
  }

  #growSlots(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let pair = 0; pair < this.count; pair++) {
      let slot = hash(this.names[pair]!, this.values[pair]!) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = pair + 1;
    }
    this.#slots = slots;
    this.#mask = mask;
  }
}

function hash(name: number, value: number): number {
  let h = Math.imul(name, 0x9e3779b1) ^ Math.imul(value, 0x85ebca77);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae3d);
  return (h ^ (h >>> 13)) >>> 0;
}

function grown(column: Uint32Array, capacity: number): Uint32Array {
  const next = new Uint32Array(capacity);
  next.set(column);
  return next;
}
