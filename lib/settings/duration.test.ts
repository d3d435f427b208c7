import { describe, expect, test } from '@jest/globals';
import { formatByteSize, formatDuration, parseByteSize, parseDuration } from './duration.js';

describe('durations', () => {
  const both: readonly (readonly [string, number])[] = [
    ['15s', 15_000],
    ['1m30s', 90_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['2w', 1_209_600_000],
    ['1y', 31_536_000_000],
    ['250ms', 250],
    ['36h1ms', 129_600_001],
  ];
  test.each(both)('%s is %d ms both ways', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(ms)).toBe(text);
  });
  test('zero', () => {
    expect(parseDuration('0')).toBe(0);
    expect(parseDuration('0s')).toBe(0);
    expect(formatDuration(0)).toBe('0s');
  });
  test.each(['', '5', '1.5h', '-5m', '5m5h', '5 m', '5x', '300y'])('%j is none', (text) => {
    expect(parseDuration(text)).toBeNull();
  });
});

describe('sizes', () => {
  test.each([
    ['0', 0],
    ['4096', 4096],
    ['64KiB', 65_536],
    ['100 MiB', 104_857_600],
    ['1.5GB', 1_500_000_000],
    ['1gib', 1_073_741_824],
  ] as const)('%s is %d bytes', (text, bytes) => expect(parseByteSize(text)).toBe(bytes));
  test.each(['', 'x', '-1', '1XB', '1e400', '9999999TiB'])('%j is none', (text) => {
    expect(parseByteSize(text)).toBeNull();
  });
  test.each([
    [0, '0'],
    [1000, '1000'],
    [16_384, '16KiB'],
    [104_857_600, '100MiB'],
  ] as const)('%d is written %s', (bytes, text) => expect(formatByteSize(bytes)).toBe(text));
});
