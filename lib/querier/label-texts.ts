import type { FormatKernel } from '../kernel/index.js';
import type { SeriesColumns } from '../promql/exec/index.js';
import { ByteWriter, quoteJson } from './json-bytes.js';

/** Ids from here on mean something in one result only. */
const OWN_IDS = 0x8000_0000;

/** Per kernel and id space: the address of each id's text, 0 where there is none yet. */
const known = new WeakMap<FormatKernel, WeakMap<object, Uint32Array>>();

/**
 * The names and values of a result's labels as JSON strings in the memory of the format kernel. Those of a source stay
 * there, so an answer that repeats them, as answers do, only copies them.
 */
export class LabelTexts {
  readonly #kernel: FormatKernel;
  readonly #columns: SeriesColumns;
  #shared: Uint32Array;
  readonly #own = new Map<number, number>();
  readonly #scratch = new ByteWriter(256);
  /** What `addresses` found. */
  found = new Uint32Array(64);

  constructor(kernel: FormatKernel, columns: SeriesColumns) {
    this.#kernel = kernel;
    this.#columns = columns;
    const { symbols } = columns;
    this.#shared = (symbols === null ? undefined : known.get(kernel)?.get(symbols)) ?? new Uint32Array(0);
  }

  /** Writes the addresses of a row's label texts to `found` from `at` on; returns the new end. */
  addresses(row: number, at: number): number {
    const { labelOffsets, labels } = this.#columns;
    const end = labelOffsets[row + 1]!;
    let p = labelOffsets[row]!;
    if (at + end - p > this.found.length) {
      const larger = new Uint32Array(Math.max(at + end - p, this.found.length * 2));
      larger.set(this.found);
      this.found = larger;
    }
    const { found } = this;
    let shared = this.#shared;
    for (; p < end; p++) {
      const id = labels[p]!;
      let address = id < shared.length ? shared[id]! : 0;
      if (address === 0) {
        address = this.#addressOf(id);
        shared = this.#shared;
      }
      found[at++] = address;
    }
    return at;
  }

  #addressOf(id: number): number {
    let address = this.#own.get(id);
    if (address !== undefined) return address;
    const { symbols } = this.#columns;
    const scratch = this.#scratch;
    scratch.length = 0;
    scratch.text(quoteJson(this.#columns.text(id)));
    address = this.#kernel.addText(scratch.bytes.subarray(0, scratch.length));
    if (id >= OWN_IDS || symbols === null) this.#own.set(id, address);
    else {
      if (id >= this.#shared.length) {
        const larger = new Uint32Array(Math.max(id + 1, this.#shared.length * 2, 256));
        larger.set(this.#shared);
        this.#shared = larger;
        this.#keep(symbols);
      }
      this.#shared[id] = address;
    }
    return address;
  }

  #keep(symbols: object): void {
    let spaces = known.get(this.#kernel);
    if (spaces === undefined) {
      spaces = new WeakMap();
      known.set(this.#kernel, spaces);
    }
    spaces.set(symbols, this.#shared);
  }
}

/** The label set of a row as a JSON object. */
export function labelsJson(columns: SeriesColumns, row: number): string {
  const { labelOffsets, labels } = columns;
  const parts: string[] = [];
  for (let p = labelOffsets[row]!; p < labelOffsets[row + 1]!; p += 2) {
    parts.push(`${quoteJson(columns.text(labels[p]!))}:${quoteJson(columns.text(labels[p + 1]!))}`);
  }
  return `{${parts.join(',')}}`;
}
