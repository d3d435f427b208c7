import { compareUtf8 } from '../../labels/index.js';
import type { SeriesSet, Symbols } from '../../storage/index.js';
import type { LabelColumns } from './label-columns.js';
import { remembered } from './label-memo.js';

/** Ids from here on belong to strings that the first series set does not know. */
const EXTRA_BEGIN = 0x8000_0000;

/**
 * One id space for all label strings of a query. The first series set's ids are used as they are, so a query over one
 * source translates nothing; ids of other sets and new strings are mapped into it. Equal ids mean equal strings.
 */
export class SymbolSpace {
  private base: Symbols | null = null;
  private readonly extras: string[] = [];
  private readonly extraIds = new Map<string, number>();
  private readonly texts = new Map<number, string>();
  private readonly translations = new Map<Symbols, Map<number, number>>();

  /** Label sets of a series set in ids of this space. Adopt all sets before interning anything else. */
  adoptLabels(set: SeriesSet): LabelColumns {
    const { seriesCount: count, labelOffsets: offsets, labels, labelMemo: memo } = set;
    const pairs = this.adopt(set);
    // What was kept with the labels is in the ids of their source.
    if (memo === undefined || pairs !== labels) return { count, offsets, pairs };
    return remembered(memo, 'columns', () => ({ count, offsets, pairs, memo }));
  }

  private adopt(set: SeriesSet): Uint32Array {
    this.base ??= set.symbols;
    if (set.symbols === this.base) return set.labels;
    let known = this.translations.get(set.symbols);
    if (known === undefined) {
      known = new Map();
      this.translations.set(set.symbols, known);
    }
    const labels = new Uint32Array(set.labels.length);
    for (let i = 0; i < labels.length; i++) {
      const id = set.labels[i]!;
      let mapped = known.get(id);
      if (mapped === undefined) {
        mapped = this.intern(set.symbols.text(id));
        known.set(id, mapped);
      }
      labels[i] = mapped;
    }
    return labels;
  }

  /** Whose ids those of this space are, as far as they are below 2^31; null before any set was adopted. */
  get symbols(): Symbols | null {
    return this.base;
  }

  text(id: number): string {
    if (id >= EXTRA_BEGIN) return this.extras[id - EXTRA_BEGIN]!;
    let text = this.texts.get(id);
    if (text === undefined) {
      text = this.base!.text(id);
      this.texts.set(id, text);
    }
    return text;
  }

  /** The id of a string that some label of this query may carry, or -1. */
  find(text: string): number {
    const id = this.base === null ? -1 : this.base.find(text);
    return id >= 0 ? id : (this.extraIds.get(text) ?? -1);
  }

  intern(text: string): number {
    const known = this.find(text);
    if (known >= 0) return known;
    const id = EXTRA_BEGIN + this.extras.length;
    this.extras.push(text);
    this.extraIds.set(text, id);
    return id;
  }

  /** Order of two strings by their bytes. */
  compare(a: number, b: number): number {
    return a === b ? 0 : compareUtf8(this.text(a), this.text(b));
  }
}
