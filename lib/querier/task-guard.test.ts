import { describe, expect, test } from '@jest/globals';
import { encodeLabelSets, encodeQueryResult, encodeStrings } from './encode.js';
import { TaskGuard } from './task-guard.js';

const control = { isCancelled: () => false, deadlineMs: Number.POSITIVE_INFINITY, queuedMs: 0 };
const STATS = {
  totalQueryableSamples: 0,
  peakSamples: 0,
  evalTotalTime: 0,
  queryPreparationTime: 0,
  innerEvalTime: 0,
  resultSortTime: 0,
  execTotalTime: 0,
};
const ROWS = 2000;
const STEPS = 100;
const labels = [{ name: '__name__', value: 'a_metric_with_a_name_of_some_length' }];
const series = Array.from({ length: ROWS }, (_, i) => ({
  labels,
  values: new Float64Array(STEPS).fill(i + 1 / 3),
  present: new Uint8Array(STEPS).fill(1),
}));
const raw = series.map(({ values }) => ({ labels, values, timestampsMs: Float64Array.from(values.keys()) }));
const results = {
  matrix: { type: 'matrix', startMs: 0, stepMs: 1000, stepCount: STEPS, series },
  rawMatrix: { type: 'rawMatrix', series: raw },
  vector: { type: 'vector', timestampMs: 0, series },
} as const;

describe.each(['matrix', 'rawMatrix', 'vector'] as const)('a %s', (type) => {
  const encode = (guard: (byteLength: number) => void) =>
    encodeQueryResult(
      { value: results[type], warnings: [], infos: [], stats: STATS },
      { withStats: false, execQueueTime: 0, guard },
    );

  test('is watched while it is written, at least every 100 KB', () => {
    const lengths: number[] = [];
    const whole = encode((byteLength) => lengths.push(byteLength));
    const gaps = lengths.map((length, i) => length - (lengths[i - 1] ?? 0));
    expect(Math.max(...gaps, whole.length - lengths.at(-1)!)).toBeLessThan(100_000);
  });

  test('is ended at its limit, which the error names', () => {
    const guard = new TaskGuard(control, 100_000);
    expect(() => encode((byteLength) => guard.checkAnswer(byteLength))).toThrow(
      expect.objectContaining({
        kind: 'limit',
        code: 'response-too-large',
        message: expect.stringContaining(
          'the answer is larger than 100000 bytes (limits.max_query_response_size)',
        ),
      }),
    );
  });

  test('is ended when nobody waits for it', () => {
    const guard = new TaskGuard({ ...control, isCancelled: () => true });
    expect(() => encode((byteLength) => guard.checkAnswer(byteLength))).toThrow(
      expect.objectContaining({ kind: 'cancelled' }),
    );
  });
});

test.each([
  [
    'names',
    (guard: (byteLength: number) => void) => encodeStrings(new Array(9000).fill('a name'), [], guard),
  ],
  [
    'label sets',
    (guard: (byteLength: number) => void) => encodeLabelSets(new Array(9000).fill(labels), [], guard),
  ],
] as const)('a list of %s is watched too', (_what, encode) => {
  const guard = new TaskGuard({ ...control, deadlineMs: 0 });
  expect(() => encode((byteLength) => guard.checkAnswer(byteLength))).toThrow(
    expect.objectContaining({ kind: 'timeout', code: 'query-timeout' }),
  );
});
