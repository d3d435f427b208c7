import { describe, expect, test } from '@jest/globals';
import { labelsFromObject } from '../labels/index.js';
import { encodeWriteRequest, type WriteExemplar, type WriteSeries } from '../wire/index.js';
import { eachExemplar, parseExemplar } from './exemplar-reader.js';

const exemplarOf = (
  timestampMs: number,
  labels: Record<string, string> = { trace_id: 'x' },
  value = 1.5,
) => ({
  labels: Object.entries(labels).map(([name, text]) => ({ name, value: text })),
  value,
  timestampMs,
});
const seriesOf = (...exemplars: WriteExemplar[]): WriteSeries => ({
  labels: labelsFromObject({ __name__: 'up' }),
  samples: [{ timestampMs: 1, value: 2 }],
  exemplars,
  histograms: [],
});

function messagesOf(...timeseries: WriteSeries[]): [number, Uint8Array][] {
  const found: [number, Uint8Array][] = [];
  const metadata = [{ type: 1, metricFamilyName: 'up', help: 'h', unit: '' }];
  eachExemplar(encodeWriteRequest({ timeseries, metadata }), (i, message) =>
    found.push([i, message.slice()]),
  );
  return found;
}

function parsed(exemplar: WriteExemplar, futureLimitMs = 1e12) {
  return parseExemplar(messagesOf(seriesOf(exemplar))[0]![1], futureLimitMs);
}

test('exemplars are found with the number of their series', () => {
  const found = messagesOf(
    seriesOf(),
    seriesOf(exemplarOf(1), exemplarOf(2)),
    seriesOf(),
    seriesOf(exemplarOf(3)),
  );
  const read = found.map(([i, message]) => [i, (parseExemplar(message, 1e12) as WriteExemplar).timestampMs]);
  expect(read).toEqual([
    [1, 1],
    [1, 2],
    [3, 3],
  ]);
});

describe('an exemplar', () => {
  test.each<[string, WriteExemplar, unknown]>([
    ['as sent', exemplarOf(5, { a: 'é' }), exemplarOf(5, { a: 'é' })],
    ['before 1970', exemplarOf(-5), exemplarOf(-5)],
    ['with labels to sort', exemplarOf(5, { b: '1', a: '2', c: '' }), exemplarOf(5, { a: '2', b: '1' })],
    ['with 128 characters', exemplarOf(5, { a: 'é'.repeat(127) }), exemplarOf(5, { a: 'é'.repeat(127) })],
    ['with 129 characters', exemplarOf(5, { a: 'é'.repeat(128) }), 'exemplar_labels_too_long'],
    ['without labels', exemplarOf(5, {}), 'exemplar_labels_missing'],
    ['with empty labels', exemplarOf(5, { a: '' }), 'exemplar_labels_missing'],
    ['without a time', exemplarOf(0), 'exemplar_timestamp_invalid'],
    ['at the end of the grace time', exemplarOf(1e12), exemplarOf(1e12)],
    ['too far in the future', exemplarOf(1e12 + 1), 'exemplar_too_far_in_future'],
  ])('%s', (_name, exemplar, expected) => {
    expect(parsed(exemplar)).toEqual(expected);
  });

  test('with a label twice is malformed', () => {
    const labels = [...exemplarOf(1).labels, ...exemplarOf(1).labels];
    expect(parsed({ labels, value: 1, timestampMs: 1 })).toBe('exemplar_malformed');
  });

  test('cut off anywhere never throws', () => {
    const [, message] = messagesOf(seriesOf(exemplarOf(1e12)))[0]!;
    for (let length = 0; length < message.length; length++) {
      const result = parseExemplar(message.slice(0, length), 1e12);
      expect(['string', 'object']).toContain(typeof result);
    }
    expect(parseExemplar(message.slice(0, 3), 1e12)).toBe('exemplar_malformed');
    expect(parseExemplar(Uint8Array.of(0x0b), 1e12)).toBe('exemplar_malformed');
  });
});
