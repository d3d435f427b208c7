import type { Symbols } from './queryable.js';

/** One numbering for the symbols of several sources: each source symbol is decoded once, equal strings share an id. */
export class UnitedSymbols implements Symbols {
  readonly #sources: readonly Symbols[];
  /** United id by source id, per source. */
  readonly #ids: readonly Map<number, number>[];
  readonly #texts: string[];
  readonly #byText: Map<string, number>;

  constructor(sources: readonly Symbols[]) {
    this.#sources = sources;
    this.#ids = sources.map(() => new Map());
    this.#texts = [];
    this.#byText = new Map();
  }

  /** The united id of a source's symbol. */
  unite(source: number, id: number): number {
    const ids = this.#ids[source]!;
    let united = ids.get(id);
    if (united === undefined) {
      const text = this.#sources[source]!.text(id);
      united = this.#byText.get(text);
      if (united === undefined) {
        united = this.#texts.length;
        this.#texts.push(text);
        this.#byText.set(text, united);
      }
      ids.set(id, united);
    }
    return united;
  }

  text(id: number): string {
    return this.#texts[id] ?? '';
  }

  find(text: string): number {
    return this.#byText.get(text) ?? -1;
  }

  /** The place of each united id in the order of the strings. */
  ranks(compare: (a: string, b: string) => number): Uint32Array {
    const texts = this.#texts;
    const order = Array.from(texts, (_, id) => id).sort((a, b) => compare(texts[a]!, texts[b]!));
    const ranks = new Uint32Array(texts.length);
    for (let i = 0; i < order.length; i++) ranks[order[i]!] = i;
    return ranks;
  }
}
