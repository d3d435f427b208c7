import { describe, expect, test } from '@jest/globals';
import type { LabelSet } from '../labels/index.js';
import type { QueryResult, QueryValue, ResultSeries, SeriesColumns } from '../promql/exec/index.js';
import { encodeQueryResult } from './encode.js';

const STATS = {
  totalQueryableSamples: 0,
  peakSamples: 0,
  evalTotalTime: 0,
  queryPreparationTime: 0,
  innerEvalTime: 0,
  resultSortTime: 0,
  execTotalTime: 0,
};

/** Ids are positions in a list of strings; those of `own` are this result's alone. */
function columnsOf(series: readonly ResultSeries[], symbols: object | null, isOwn: boolean): SeriesColumns {
  const strings: string[] = [];
  const base = isOwn ? 0x8000_0000 : 0;
  const idOf = (text: string): number => {
    if (!strings.includes(text)) strings.push(text);
    return base + strings.indexOf(text);
  };
  const steps = series[0]?.values.length ?? 1;
  const labels: number[] = [];
  const labelOffsets = [0];
  const values = new Float64Array(series.length * steps);
  const present = new Uint8Array(series.length * steps);
  // Rows stand the other way round than results.
  series.toReversed().forEach((one, row) => {
    for (const { name, value } of one.labels) labels.push(idOf(name), idOf(value));
    labelOffsets.push(labels.length);
    values.set(one.values, row * steps);
    present.set(one.present, row * steps);
  });
  return {
    rows: Uint32Array.from(series, (_, i) => series.length - 1 - i),
    labelOffsets: Uint32Array.from(labelOffsets),
    labels: Uint32Array.from(labels),
    steps,
    values,
    present,
    text: (id) => strings[id - base]!,
    symbols,
  };
}

function seriesOf(sets: readonly LabelSet[], steps: number): ResultSeries[] {
  return sets.map((labels, i) => ({
    labels,
    values: Float64Array.from({ length: steps }, (_, k) => (k % 5 === 4 ? Number.NaN : i + k / 7)),
    present: Uint8Array.from({ length: steps }, (_, k) => (k === 0 || (i + k) % 3 !== 0 ? 1 : 0)),
  }));
}

function encode(value: QueryValue): string {
  const result: QueryResult = { value, warnings: [], infos: [], stats: STATS };
  return Buffer.from(encodeQueryResult(result, { withStats: false, execQueueTime: 0 })).toString('utf8');
}

const SETS: readonly LabelSet[] = [
  [],
  [{ name: 'job', value: 'node' }],
  [
    { name: '__name__', value: 'up' },
    { name: 'job', value: '"quoted" \\ <&>\n\u0001' },
  ],
  [{ name: 'größe', value: 'münchen \u{1f600} \ud800' }],
  [{ name: 'sixteen', value: 'x'.repeat(14) }],
  [{ name: 'long', value: 'y'.repeat(70_000) }],
  [{ name: 'longest', value: 'z'.repeat(900_000) }],
  ...Array.from({ length: 3000 }, (_, i) => [
    { name: 'instance', value: `10.0.0.${i}:9100` },
    { name: 'job', value: `job-${i % 7}` },
  ]),
];

describe('answers written from columns', () => {
  const cases = [
    { name: 'ids of a source', symbols: {}, isOwn: false },
    { name: 'ids of the result alone', symbols: {}, isOwn: true },
    { name: 'no source', symbols: null, isOwn: false },
  ];
  test.each(cases)('are those written from objects: $name', ({ symbols, isOwn }) => {
    for (const sets of [SETS, SETS.slice(0, 1), []]) {
      const vector = seriesOf(sets, 1);
      const columns = columnsOf(vector, symbols === null ? null : {}, isOwn);
      const value = { type: 'vector', timestampMs: 1_700_000_000_123, series: vector } as const;
      expect(encode({ ...value, columns })).toBe(encode(value));
      const matrix = seriesOf(sets, 11);
      const grid = { type: 'matrix', startMs: 1_700_000_000_000, stepMs: 15_000, stepCount: 11 } as const;
      const matrixColumns = columnsOf(matrix, symbols === null ? null : {}, isOwn);
      expect(encode({ ...grid, series: matrix, columns: matrixColumns })).toBe(
        encode({ ...grid, series: matrix }),
      );
    }
  });

  test('texts of a source are kept for its later answers and not mixed up with those of others', () => {
    const [first, second] = [{}, {}];
    for (const [symbols, job] of [
      [first, 'a'],
      [second, 'b'],
      [first, 'a'],
    ] as const) {
      const series = seriesOf(
        Array.from({ length: 20 }, (_, i) => [{ name: 'job', value: `${job}${i}` }]),
        1,
      );
      const value = { type: 'vector', timestampMs: 0, series } as const;
      expect(encode({ ...value, columns: columnsOf(series, symbols, false) })).toBe(encode(value));
    }
  });

  test('rows of more steps than one call takes', () => {
    const series = seriesOf(SETS.slice(0, 3), 13_000);
    const value = { type: 'matrix', startMs: 0, stepMs: 1000, stepCount: 13_000, series } as const;
    expect(encode({ ...value, columns: columnsOf(series, {}, false) })).toBe(encode(value));
  });
});
