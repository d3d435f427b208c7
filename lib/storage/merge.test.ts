import { describe, expect, test } from '@jest/globals';
import { compareLabelSets, type LabelSet, labelsFromObject, labelValue } from '../labels/index.js';
import { ArrayArena } from './array-arena.js';
import { mergeQueryables } from './merge.js';
import type { ChunkArena, LabelQuery, Queryable, SelectHints, SeriesSet } from './queryable.js';

interface Chunk {
  readonly minTime: number;
  readonly maxTime: number;
  readonly bytes: readonly number[];
}
type Series = readonly [labels: Readonly<Record<string, string>>, chunks: readonly Chunk[]];

const HINTS: SelectHints = {
  minTimeMs: 0,
  maxTimeMs: 100,
  stepMs: 0,
  func: '',
  rangeMs: 0,
  withoutChunks: false,
  limit: 0,
};
const QUERY: LabelQuery = { minTimeMs: 0, maxTimeMs: 100, matcherSets: [], limit: 0 };

/** A source with its own numbering of symbols, which counts how often a symbol becomes a string. */
class TestSource implements Queryable {
  decodeCount = 0;
  readonly #series: readonly Series[];
  readonly #warnings: readonly string[];

  constructor(series: readonly Series[], warnings: readonly string[] = []) {
    this.#series = series;
    this.#warnings = warnings;
  }

  async select(_matchers: unknown, _hints: SelectHints, arena: ChunkArena): Promise<SeriesSet> {
    const texts: string[] = ['unused'];
    const id = (text: string): number => (texts.includes(text) ? texts.indexOf(text) : texts.push(text) - 1);
    const labels: number[] = [];
    const labelOffsets = [0];
    const chunkOffsets = [0];
    const chunks: Chunk[] = [];
    for (const [object, held] of this.#series) {
      for (const label of labelsFromObject(object)) labels.push(id(label.name), id(label.value));
      chunks.push(...held);
      labelOffsets.push(labels.length);
      chunkOffsets.push(chunks.length);
    }
    return {
      symbols: {
        text: (at) => {
          this.decodeCount++;
          return texts[at]!;
        },
        find: (text) => texts.indexOf(text),
      },
      seriesCount: this.#series.length,
      labelOffsets: Uint32Array.from(labelOffsets),
      labels: Uint32Array.from(labels),
      chunkOffsets: Uint32Array.from(chunkOffsets),
      chunkAddresses: Uint32Array.from(chunks, (chunk) => {
        const address = arena.reserve(chunk.bytes.length);
        arena.bytes().set(chunk.bytes, address);
        return address;
      }),
      chunkByteLengths: Uint32Array.from(chunks, (chunk) => chunk.bytes.length),
      chunkMinTimes: Float64Array.from(chunks, (chunk) => chunk.minTime),
      chunkMaxTimes: Float64Array.from(chunks, (chunk) => chunk.maxTime),
      chunkEncodings: Uint8Array.from(chunks, () => 1),
      warnings: this.#warnings,
    };
  }

  async labelNames(): Promise<string[]> {
    return [...new Set(this.#series.flatMap(([labels]) => Object.keys(labels)))].sort();
  }

  async labelValues(name: string): Promise<string[]> {
    return this.#sets().map((labels) => labelValue(labels, name));
  }

  async series(): Promise<LabelSet[]> {
    return this.#sets();
  }

  #sets(): LabelSet[] {
    return this.#series.map(([labels]) => labelsFromObject(labels)).sort(compareLabelSets);
  }
}

function chunk(minTime: number, ...bytes: number[]): Chunk {
  return { minTime, maxTime: minTime + 9, bytes };
}

async function dump(sources: readonly Queryable[], limit = 0): Promise<string[]> {
  const arena = new ArrayArena(64);
  const set = await mergeQueryables(sources).select([], { ...HINTS, limit }, arena);
  return Array.from({ length: set.seriesCount }, (_, i) => {
    const labels = [];
    for (let l = set.labelOffsets[i]!; l < set.labelOffsets[i + 1]!; l += 2) {
      labels.push(`${set.symbols.text(set.labels[l]!)}=${set.symbols.text(set.labels[l + 1]!)}`);
    }
    const chunks = [];
    for (let c = set.chunkOffsets[i]!; c < set.chunkOffsets[i + 1]!; c++) {
      const address = set.chunkAddresses[c]!;
      const bytes = arena.bytes().subarray(address, address + set.chunkByteLengths[c]!);
      chunks.push(`${set.chunkMinTimes[c]}-${set.chunkMaxTimes[c]}:${[...bytes].join('')}`);
    }
    return `${labels.join(',')} ${chunks.join(' ')}`;
  });
}

describe('mergeQueryables', () => {
  test('sorts series of unsorted and sorted sources together, by bytes', async () => {
    const sources = [
      new TestSource([
        [{ a: '2' }, [chunk(0, 1)]],
        [{ a: '1', b: 'x' }, [chunk(0, 2)]],
        [{ a: '\u{1f600}' }, [chunk(0, 3)]],
      ]),
      new TestSource([
        [{ a: '1' }, [chunk(0, 4)]],
        [{ a: '\uff5e' }, [chunk(0, 5)]],
      ]),
      new TestSource([]),
    ];
    expect(await dump(sources)).toEqual([
      'a=1 0-9:4',
      'a=1,b=x 0-9:2',
      'a=2 0-9:1',
      'a=\uff5e 0-9:5',
      'a=\u{1f600} 0-9:3',
    ]);
    expect(await dump(sources, 2)).toEqual(['a=1 0-9:4', 'a=1,b=x 0-9:2']);
  });

  test('joins equal series: chunks by time, the same bytes once', async () => {
    const sources = [
      new TestSource([[{ a: '1' }, [chunk(20, 1, 2), chunk(40, 7)]]]),
      new TestSource([[{ a: '1' }, [chunk(0, 9), chunk(20, 1, 2), chunk(30, 3)]]]),
      new TestSource([[{ a: '1' }, [chunk(0, 9), chunk(20, 1, 3), chunk(40, 7, 7)]]]),
    ];
    expect(await dump(sources)).toEqual(['a=1 0-9:9 20-29:12 20-29:13 30-39:3 40-49:7 40-49:77']);
  });

  test('keeps equal chunks of one source, which may be meant', async () => {
    const sources = [
      new TestSource([[{ a: '1' }, [chunk(0, 1), chunk(0, 1)]]]),
      new TestSource([[{ b: '1' }, []]]),
    ];
    expect(await dump(sources)).toEqual(['a=1 0-9:1 0-9:1', 'b=1 ']);
  });

  test('agrees with joining label sets one by one', async () => {
    const names = ['a', 'b', 'c'];
    const sources = Array.from({ length: 4 }, (_, s) => {
      const series = new Map<string, Series>();
      for (let i = 0; i < 40; i++) {
        const labels: Record<string, string> = { a: `v${(i * 7 + s * 3) % 11}` };
        for (const name of names)
          if ((i + s + name.charCodeAt(0)) % 3 === 0) labels[name] = `v${(i * s) % 5}`;
        series.set(JSON.stringify(labelsFromObject(labels)), [labels, [chunk(s, s)]]);
      }
      return new TestSource([...series.values()]);
    });
    const expected = await mergeQueryables(sources).series(QUERY);
    const lines = await dump(sources);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(
      expected.map((labels) => labels.map((label) => `${label.name}=${label.value}`).join(',')),
    );
  });

  test('hands the answer of a single source with series on untouched', async () => {
    const full = new TestSource([[{ a: '1' }, [chunk(0, 1)]]]);
    expect(mergeQueryables([full])).toBe(full);
    const merged = mergeQueryables([new TestSource([]), full, new TestSource([], ['block missing'])]);
    const set = await merged.select([], HINTS, new ArrayArena());
    expect([set.seriesCount, set.warnings]).toEqual([1, ['block missing']]);
    expect(full.decodeCount).toBe(0);
    const none = await mergeQueryables([]).select([], HINTS, new ArrayArena());
    expect(none.seriesCount).toBe(0);
  });

  test('decodes each symbol of a source once', async () => {
    const series = Array.from({ length: 100 }, (_, i): Series => [{ name: 'same', id: String(i) }, []]);
    const sources = [new TestSource(series), new TestSource(series)];
    expect(await dump(sources)).toHaveLength(100);
    for (const source of sources) expect(source.decodeCount).toBe(103);
  });

  test('gathers warnings, names, values and series, each once', async () => {
    const sources = [
      new TestSource(
        [
          [{ a: '2', b: 'x' }, []],
          [{ a: '1' }, []],
        ],
        ['w1', 'w2'],
      ),
      new TestSource(
        [
          [{ a: '2', c: 'y' }, []],
          [{ a: '1' }, []],
        ],
        ['w2'],
      ),
    ];
    const merged = mergeQueryables(sources);
    expect((await merged.select([], HINTS, new ArrayArena())).warnings).toEqual(['w1', 'w2']);
    expect(await merged.labelNames(QUERY)).toEqual(['a', 'b', 'c']);
    expect(await merged.labelNames({ ...QUERY, limit: 2 })).toEqual(['a', 'b']);
    expect(await merged.labelValues('a', QUERY)).toEqual(['1', '2']);
    expect(await merged.series(QUERY)).toEqual(
      [{ a: '1' }, { a: '2', b: 'x' }, { a: '2', c: 'y' }].map(labelsFromObject),
    );
    expect(await merged.series({ ...QUERY, limit: 1 })).toHaveLength(1);
  });
});
