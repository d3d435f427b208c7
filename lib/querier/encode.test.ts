import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type FloatHistogram, parseHistogramNotation } from '../histogram/index.js';
import { labelsFromObject } from '../labels/index.js';
import type { QueryResult, QueryStats, QueryValue } from '../promql/exec/index.js';
import { encodeQueryResult } from './encode.js';

const stats: QueryStats = {
  totalQueryableSamples: 12,
  peakSamples: 5,
  evalTotalTime: 0.000015844,
  queryPreparationTime: 4.828e-6,
  innerEvalTime: 3.81e-7,
  resultSortTime: 0,
  execTotalTime: 0.000025027,
};

function encode(value: QueryValue, rest: Partial<QueryResult> = {}, withStats = false): string {
  const result = { value, warnings: [], infos: [], stats, ...rest };
  return Buffer.from(encodeQueryResult(result, { withStats, execQueueTime: 0.000057637 })).toString();
}

const labels = labelsFromObject({ __name__: 'm', path: '/<a>"\\', ä: 'ö' });
const metric = '{"__name__":"m","path":"/<a>\\"\\\\","ä":"ö"}';

function notation(text: string): FloatHistogram {
  return parseHistogramNotation(text)!;
}

const custom = notation('{{schema:-53 count:6 sum:1e-07 custom_values:[0.1 1e21] buckets:[1 2 3]}}');
const customJson =
  '{"count":"6","sum":"1e-07","buckets":[[3,"-Inf","0.1","1"],[0,"0.1","1e+21","2"],[0,"1e+21","+Inf","3"]]}';

describe('encodeQueryResult', () => {
  test.each<[string, QueryValue, string]>([
    ['a scalar', { type: 'scalar', timestampMs: 1500, value: 1e-7 }, '"scalar","result":[1.5,"0.0000001"]'],
    [
      'a string',
      { type: 'string', timestampMs: 4000, value: '<"a">' },
      '"string","result":[4,"\\u003c\\"a\\"\\u003e"]',
    ],
    ['an empty vector', { type: 'vector', timestampMs: 0, series: [] }, '"vector","result":[]'],
    [
      'a vector without its absent series',
      {
        type: 'vector',
        timestampMs: 1500,
        series: [
          { labels: [], values: Float64Array.of(0), present: Uint8Array.of(0) },
          { labels, values: Float64Array.of(Number.NaN), present: Uint8Array.of(1) },
          { labels: [], values: Float64Array.of(-0), present: Uint8Array.of(1) },
        ],
      },
      `"vector","result":[{"metric":${metric},"value":[1.500,"NaN"]},{"metric":{},"value":[1.500,"-0"]}]`,
    ],
    [
      'a matrix with gaps, repeated values and both zeros',
      {
        type: 'matrix',
        startMs: -500,
        stepMs: 500,
        stepCount: 6,
        series: [
          { labels: [], values: new Float64Array(6), present: new Uint8Array(6) },
          {
            labels: [],
            values: Float64Array.of(0, -0, 7.5, 7.5, 1e21, 1e21),
            present: Uint8Array.of(1, 1, 1, 1, 0, 1),
          },
        ],
      },
      '"matrix","result":[{"metric":{},"values":[[-0.500,"0"],[0,"-0"],[0.500,"7.5"],[1,"7.5"],[2,"1e+21"]]}]',
    ],
    [
      'a raw matrix',
      {
        type: 'rawMatrix',
        series: [
          { labels: [], timestampsMs: new Float64Array(0), values: new Float64Array(0) },
          {
            labels,
            timestampsMs: Float64Array.of(1, 2000),
            values: Float64Array.of(1, Number.POSITIVE_INFINITY),
          },
        ],
      },
      `"matrix","result":[{"metric":${metric},"values":[[0.001,"1"],[2,"+Inf"]]}]`,
    ],
    [
      'a vector of a histogram',
      {
        type: 'vector',
        timestampMs: 1500,
        series: [
          {
            labels,
            values: Float64Array.of(0),
            present: Uint8Array.of(2),
            histograms: [
              notation(
                '{{schema:0 count:12 sum:18.4 z_bucket:2 z_bucket_w:0.001 buckets:[0 3] n_buckets:[1]}}',
              ),
            ],
          },
          {
            labels: [],
            values: Float64Array.of(0),
            present: Uint8Array.of(2),
            histograms: [notation('{{}}')],
          },
          { labels: [], values: Float64Array.of(3), present: Uint8Array.of(1), histograms: null },
        ],
      },
      `"vector","result":[{"metric":${metric},"histogram":[1.500,{"count":"12","sum":"18.4","buckets":[[1,"-1","-0.5","1"],[3,"-0.001","0.001","2"],[0,"1","2","3"]]}]},{"metric":{},"histogram":[1.500,{"count":"0","sum":"0"}]},{"metric":{},"value":[1.500,"3"]}]`,
    ],
    [
      'a matrix of floats and histograms',
      {
        type: 'matrix',
        startMs: 0,
        stepMs: 500,
        stepCount: 4,
        series: [
          {
            labels: [],
            values: Float64Array.of(7, 9, 8, 9),
            present: Uint8Array.of(1, 2, 1, 2),
            histograms: [null, custom, null, notation('{{count:-1 sum:NaN buckets:[-1]}}')],
          },
          {
            labels,
            values: new Float64Array(4),
            present: Uint8Array.of(0, 0, 2, 0),
            histograms: [null, null, custom, null],
          },
        ],
      },
      `"matrix","result":[{"metric":{},"values":[[0,"7"],[1,"8"]],"histograms":[[0.500,${customJson}],[1.500,{"count":"-1","sum":"NaN","buckets":[[0,"0.5","1","-1"]]}]]},{"metric":${metric},"histograms":[[1,${customJson}]]}]`,
    ],
    [
      'a raw matrix of floats and histograms',
      {
        type: 'rawMatrix',
        series: [
          {
            labels,
            timestampsMs: Float64Array.of(1, 2000, 3000),
            values: Float64Array.of(5, 1, 6),
            histograms: [null, custom, null],
          },
          {
            labels: [],
            timestampsMs: Float64Array.of(1),
            values: Float64Array.of(0),
            histograms: [custom],
          },
        ],
      },
      `"matrix","result":[{"metric":${metric},"values":[[0.001,"5"],[3,"6"]],"histograms":[[2,${customJson}]]},{"metric":{},"histograms":[[0.001,${customJson}]]}]`,
    ],
  ])('writes %s', (_name, value, expected) => {
    expect(encode(value)).toBe(`{"status":"success","data":{"resultType":${expected}}}`);
  });

  test('adds statistics as Prometheus prints them', () => {
    const text = encode({ type: 'scalar', timestampMs: 0, value: 1 }, {}, true);
    expect(text).toBe(
      '{"status":"success","data":{"resultType":"scalar","result":[0,"1"],"stats":{"timings":{' +
        '"evalTotalTime":0.000015844,"resultSortTime":0,"queryPreparationTime":0.000004828,"innerEvalTime":3.81e-07,' +
        '"execQueueTime":0.000057637,"execTotalTime":0.000025027},"samples":{"totalQueryableSamples":12,"peakSamples":5}}}}',
    );
  });

  test('adds the samples of each step when they are known', () => {
    const perStep = { startMs: 1500, stepMs: 250, counts: Float64Array.of(5, 0, 7) };
    const text = encode({ type: 'scalar', timestampMs: 0, value: 1 }, { stats: { ...stats, perStep } }, true);
    expect(text).toContain(
      '"samples":{"totalQueryableSamplesPerStep":[[1.5,5],[1.75,0],[2,7]],"totalQueryableSamples":12,"peakSamples":5}',
    );
  });

  test('shows ten warnings and infos and counts the rest', () => {
    const texts = Array.from({ length: 13 }, (_, i) => `w${i}`);
    const answer = JSON.parse(
      encode({ type: 'vector', timestampMs: 0, series: [] }, { warnings: texts, infos: texts.slice(0, 10) }),
    ) as { warnings: string[]; infos: string[] };
    expect(answer.warnings).toEqual([...texts.slice(0, 10), '3 more warning annotations omitted']);
    expect(answer.infos).toEqual(texts.slice(0, 10));
  });

  test('agrees with a plain implementation on any matrix', () => {
    const point = fc.oneof(fc.constant(null), fc.integer(), fc.double({ noNaN: true }), fc.constant(42.5));
    fc.assert(
      fc.property(
        fc.integer({ min: -1e6, max: 2e12 }),
        fc.integer({ min: 1, max: 1e6 }),
        fc.array(fc.array(point, { minLength: 5, maxLength: 5 })),
        (startMs, stepMs, rows) => {
          const series = rows.map((row, i) => ({
            labels: labelsFromObject({ i: String(i) }),
            values: Float64Array.from(row, (value) => value ?? 0),
            present: Uint8Array.from(row, (value) => (value === null ? 0 : 1)),
          }));
          const answer = JSON.parse(encode({ type: 'matrix', startMs, stepMs, stepCount: 5, series })) as {
            data: { result: { metric: { i: string }; values: [number, string][] }[] };
          };
          const expected = rows.flatMap((row, i) => {
            const values = row.flatMap((value, k) =>
              value === null ? [] : [[(startMs + k * stepMs) / 1000, value]],
            );
            return values.length === 0 ? [] : [{ metric: { i: String(i) }, values }];
          });
          const read = answer.data.result.map(({ metric: found, values }) => ({
            metric: found,
            values: values.map(([t, v]) => [t, v.endsWith('Inf') ? Number(`${v}inity`) : Number(v)]),
          }));
          expect(read).toEqual(expected);
        },
      ),
      { seed: 5 },
    );
  });
});
