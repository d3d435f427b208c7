import { type LabelMemo, remembered } from './label-memo.js';
import type { SymbolSpace } from './symbol-space.js';

/**
 * Label sets as columns: set i is the pairs (name id, value id) at `pairs[offsets[i] .. offsets[i + 1])`, sorted by name.
 */
export interface LabelColumns {
  readonly count: number;
  readonly offsets: Uint32Array;
  readonly pairs: Uint32Array;
  /** Present when later queries will meet these arrays again; everything kept in it follows from them alone. */
  readonly memo?: LabelMemo;
}

export const NO_LABELS: LabelColumns = { count: 0, offsets: new Uint32Array(1), pairs: new Uint32Array(0) };
/** One empty label set. */
export const EMPTY_SET: LabelColumns = { count: 1, offsets: new Uint32Array(2), pairs: new Uint32Array(0) };

/** Value id of a label in set i, or -1. */
export function labelIdOf(labels: LabelColumns, i: number, name: number): number {
  const { pairs, offsets } = labels;
  const end = offsets[i + 1]!;
  for (let p = offsets[i]!; p < end; p += 2) if (pairs[p] === name) return pairs[p + 1]!;
  return -1;
}

/** Grows label columns set by set. Pairs of a set must be added in name order, or given to `endUnsorted`. */
export class LabelBuilder {
  private pairs: Uint32Array;
  private offsets: Uint32Array;
  private length = 0;
  count = 0;

  constructor(sets = 16, pairs = 64) {
    this.pairs = new Uint32Array(pairs);
    this.offsets = new Uint32Array(sets + 1);
  }

  push(name: number, value: number): void {
    if (this.length + 2 > this.pairs.length) this.pairs = enlarged(this.pairs, this.length + 2);
    this.pairs[this.length++] = name;
    this.pairs[this.length++] = value;
  }

  /** Ends the current set and returns its index. */
  end(): number {
    if (this.count + 2 > this.offsets.length) this.offsets = enlarged(this.offsets, this.count + 2);
    this.offsets[++this.count] = this.length;
    return this.count - 1;
  }

  /** Forgets the pairs pushed since the last `end`. */
  drop(): void {
    this.length = this.offsets[this.count]!;
  }

  /** Adds set i of other columns as a new set. */
  copy(from: LabelColumns, i: number): number {
    const { pairs, offsets } = from;
    const end = offsets[i + 1]!;
    for (let p = offsets[i]!; p < end; p += 2) this.push(pairs[p]!, pairs[p + 1]!);
    return this.end();
  }

  /** Ends a set whose pairs may be out of order (never duplicated): sorts them by name first. */
  endUnsorted(space: SymbolSpace): number {
    const begin = this.offsets[this.count]!;
    const { pairs } = this;
    for (let i = begin + 2; i < this.length; i += 2) {
      const name = pairs[i]!;
      const value = pairs[i + 1]!;
      let j = i - 2;
      while (j >= begin && space.compare(pairs[j]!, name) > 0) {
        pairs[j + 2] = pairs[j]!;
        pairs[j + 3] = pairs[j + 1]!;
        j -= 2;
      }
      pairs[j + 2] = name;
      pairs[j + 3] = value;
    }
    return this.end();
  }

  /** A view of what was built; valid until the next push. */
  get columns(): LabelColumns {
    return { count: this.count, offsets: this.offsets, pairs: this.pairs };
  }
}

function enlarged(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(length, array.length * 2));
  larger.set(array);
  return larger;
}

/** Numbers distinct label sets: an open-addressing hash table over the pairs. */
export class LabelIndex {
  readonly sets: LabelBuilder;
  private slots: Int32Array;
  private hashes: Int32Array;

  constructor(expected = 16) {
    let capacity = 32;
    while (capacity < expected * 2) capacity *= 2;
    this.slots = new Int32Array(capacity).fill(-1);
    this.hashes = new Int32Array(capacity);
    this.sets = new LabelBuilder(expected, expected * 8);
  }

  get count(): number {
    return this.sets.count;
  }

  get columns(): LabelColumns {
    return this.sets.columns;
  }

  /** The number of the set at `pairs[from .. to)`, new if it was not seen before. */
  intern(pairs: Uint32Array, from: number, to: number): number {
    const hash = hashPairs(pairs, from, to);
    const slot = this.slotOf(hash, pairs, from, to);
    const known = this.slots[slot]!;
    if (known >= 0) return known;
    for (let p = from; p < to; p += 2) this.sets.push(pairs[p]!, pairs[p + 1]!);
    const number = this.sets.end();
    this.slots[slot] = number;
    this.hashes[slot] = hash;
    if (this.sets.count * 2 > this.slots.length) this.rehash();
    return number;
  }

  /** The number of a set, or -1. */
  find(pairs: Uint32Array, from: number, to: number): number {
    return this.slots[this.slotOf(hashPairs(pairs, from, to), pairs, from, to)]!;
  }

  private slotOf(hash: number, pairs: Uint32Array, from: number, to: number): number {
    const mask = this.slots.length - 1;
    const { offsets, pairs: own } = this.sets.columns;
    let slot = hash & mask;
    while (true) {
      const number = this.slots[slot]!;
      if (number < 0) return slot;
      if (this.hashes[slot] === hash) {
        const begin = offsets[number]!;
        if (offsets[number + 1]! - begin === to - from) {
          let i = 0;
          while (from + i < to && own[begin + i] === pairs[from + i]) i++;
          if (from + i === to) return slot;
        }
      }
      slot = (slot + 1) & mask;
    }
  }

  private rehash(): void {
    const { slots, hashes } = this;
    this.slots = new Int32Array(slots.length * 2).fill(-1);
    this.hashes = new Int32Array(slots.length * 2);
    const mask = this.slots.length - 1;
    for (let i = 0; i < slots.length; i++) {
      if (slots[i]! < 0) continue;
      let slot = hashes[i]! & mask;
      while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
      this.slots[slot] = slots[i]!;
      this.hashes[slot] = hashes[i]!;
    }
  }
}

function hashPairs(pairs: Uint32Array, from: number, to: number): number {
  let hash = 0x9e3779b9 | 0;
  for (let p = from; p < to; p++) {
    hash = Math.imul(hash ^ pairs[p]!, 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** Which labels make a key: only the listed ones (`by`, `on`), or all but the listed ones (`without`, `ignoring`). */
export interface KeyRule {
  readonly names: readonly number[];
  readonly keep: boolean;
}

/** The rule for a list of label names. Excluding rules always exclude the metric name as well. */
export function keyRule(space: SymbolSpace, names: readonly string[], keep: boolean): KeyRule {
  const all = keep ? names : [...names, '__name__'];
  return { names: [...new Set(all.map((name) => space.find(name)))].filter((id) => id >= 0), keep };
}

/** Numbers the keys of all sets: `numbers[i]` is the key of set i in `index`. */
export function keysOf(labels: LabelColumns, rule: KeyRule, index: LabelIndex): Uint32Array {
  const { count, offsets, pairs } = labels;
  const { names, keep } = rule;
  const numbers = new Uint32Array(count);
  if (keep && names.length === 0) {
    const number = count === 0 ? 0 : index.intern(pairs, 0, 0);
    return numbers.fill(number);
  }
  let scratch = new Uint32Array(64);
  const one = names.length === 1 ? names[0]! : -1;
  for (let i = 0; i < count; i++) {
    const begin = offsets[i]!;
    const end = offsets[i + 1]!;
    if (end - begin > scratch.length) scratch = new Uint32Array((end - begin) * 2);
    let n = 0;
    for (let p = begin; p < end; p += 2) {
      const name = pairs[p]!;
      const listed = one >= 0 ? name === one : names.includes(name);
      if (listed !== keep) continue;
      scratch[n++] = name;
      scratch[n++] = pairs[p + 1]!;
    }
    numbers[i] = index.intern(scratch, 0, n);
  }
  return numbers;
}

/** Whether two sets of the columns are equal; tells the first pair found, or null. */
export function findDuplicate(labels: LabelColumns): [number, number] | null {
  return remembered(labels.memo, 'duplicate', () => lookForDuplicate(labels));
}

function lookForDuplicate(labels: LabelColumns): [number, number] | null {
  const index = new LabelIndex(labels.count);
  const firsts: number[] = [];
  for (let i = 0; i < labels.count; i++) {
    const number = index.intern(labels.pairs, labels.offsets[i]!, labels.offsets[i + 1]!);
    if (number < firsts.length) return [firsts[number]!, i];
    firsts.push(i);
  }
  return null;
}
