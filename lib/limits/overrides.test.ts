import { describe, expect, test } from '@jest/globals';
import { DEFAULT_LIMITS, limitsSchema } from './limits.js';
import { parseOverrides, TenantLimits } from './overrides.js';

describe('parseOverrides', () => {
  test('replaces single values and keeps the configured defaults', () => {
    const defaults = limitsSchema.parse({ maxLabelNamesPerSeries: 40 });
    const text =
      'overrides:\n  a:\n    max_label_value_length: 99\n    out_of_order_time_window: 2h\n  b: {}\n';
    const limits = new TenantLimits(defaults);
    limits.replaceOverrides(parseOverrides(text, defaults, 'runtime.yaml'));
    expect(limits.of('a')).toEqual({
      ...defaults,
      maxLabelValueLength: 99,
      outOfOrderTimeWindowMs: 7_200_000,
    });
    expect(limits.of('b')).toEqual(defaults);
    expect(limits.of('c')).toBe(defaults);
  });

  test.each(['', 'overrides:', 'overrides: {}'])('%j holds no overrides', (text) => {
    expect(parseOverrides(text, DEFAULT_LIMITS, 'f').size).toBe(0);
  });

  test.each([
    ['x: 1', 'f: unknown field "x"; allowed: overrides'],
    ['- a', 'f: must be a map'],
    [
      'overrides: {a: {max_labels: 1}}',
      'f: overrides.a: unknown field "max_labels"; allowed: ingestion_rate',
    ],
    [
      'overrides: {a: {ingestion_rate: fast}}',
      'f: overrides.a: ingestion_rate must be a number of at least 0',
    ],
    ['overrides: {a: 5}', 'f: overrides.a: must be a map of settings'],
    ['a: [', 'f: not YAML: '],
  ])('refuses %j', (text, message) => {
    expect(() => parseOverrides(text, DEFAULT_LIMITS, 'f')).toThrow(message);
  });
});
