import { describe, expect, test } from '@jest/globals';
import { goQuote } from './go-text.js';
import {
  Params,
  parseDurationNs,
  parseSourceResolution,
  parseTime,
  TIME_MS_MAX,
  TIME_MS_MIN,
  unescapeLabelName,
} from './params.js';
import { queryWindow } from './query-window.js';

describe('parseTime', () => {
  test.each([
    ['4', 4000],
    ['0', 0],
    ['1.5', 1500],
    ['-1.5', -1500],
    ['0.0015', 2],
    ['1700000000.123', 1_700_000_000_123],
    ['1e3', 1_000_000],
    ['1_0', 10_000],
    ['.5', 500],
    ['1970-01-01T00:00:01Z', 1000],
    ['1970-01-01T00:00:01.5Z', 1500],
    ['1970-01-01T00:00:01.123456789Z', 1123],
    ['1970-01-01T00:00:01.5+01:00', -3_598_500],
    ['-292273086-05-16T16:47:06Z', TIME_MS_MIN],
    ['292277025-08-18T07:12:54.999999999Z', TIME_MS_MAX],
    ['1e20', TIME_MS_MAX],
    ['-Inf', TIME_MS_MIN],
  ])('%s is %d ms', (text, ms) => expect(parseTime(text)).toBe(ms));

  test.each([
    '',
    'x',
    '1970-01-01',
    '1970-13-01T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '1970-01-01T24:00:00Z',
    '0xp1',
    '0x10',
    '1 ',
    '1__0',
    'NaN',
    '1970-01-01T00:00:01',
  ])('%j is no time', (text) =>
    expect(() => parseTime(text)).toThrow(`cannot parse ${JSON.stringify(text)} to a valid timestamp`),
  );
});

describe('parseDurationNs', () => {
  test.each([
    ['15', 15e9],
    ['0.5', 5e8],
    ['-1', -1e9],
    ['5m', 3e11],
    ['1d2h', 93_600e9],
    ['0.0001', 100_000],
    ['0x1p3', 8e9],
    ['NaN', -(2 ** 63)],
  ])('%s is %d ns', (text, ns) => expect(parseDurationNs(text)).toBe(ns));

  test.each([
    ['', 'cannot parse "" to a valid duration'],
    ['-5m', 'cannot parse "-5m" to a valid duration'],
    ['1e400', 'cannot parse "1e400" to a valid duration'],
    ['1e11', 'cannot parse "1e11" to a valid duration. It overflows int64'],
    ['300y', 'cannot parse "300y" to a valid duration'],
  ])('%j is refused', (text, message) => {
    expect(() => parseDurationNs(text)).toThrow(expect.objectContaining({ message }));
  });
});

describe('unescapeLabelName', () => {
  test.each([
    ['plain', 'plain'],
    ['U__', ''],
    ['U__a_2e_b', 'a.b'],
    ['U__a__b', 'a_b'],
    ['U__caf_e9_', 'café'],
    ['U___1f600_', '😀'],
    ['U__a_', 'U__a_'],
    ['U__a_zz_', 'U__a_zz_'],
    ['U__a_d800_', 'U__a_d800_'],
    ['U__a_110000_', 'U__a_110000_'],
  ])('%s', (escaped, plain) => expect(unescapeLabelName(escaped)).toBe(plain));
});

describe('goQuote', () => {
  test.each([
    ['a"b\\', '"a\\"b\\\\"'],
    ['é日😀', '"é日😀"'],
    ['\x00\x7f\n\u200b\u{e0001}', '"\\x00\\x7f\\n\\u200b\\U000e0001"'],
  ])('%j', (text, quoted) => expect(goQuote(text)).toBe(quoted));
});

describe('queryWindow', () => {
  const HOUR = 3_600_000;
  const all = [TIME_MS_MIN, TIME_MS_MAX];
  test.each([
    ['up', [-5000, 100_000]],
    ['sum by (job) (up{a=~"[5m] @ offset"}) > 5', [-5000, 100_000]],
    ['rate(up[1h])', [-5000 - HOUR, 100_000]],
    ['rate(up[3600])', [-5000 - HOUR, 100_000]],
    ['max_over_time(rate(up[1h])[2h:1h] offset 1h)', [-5000 - 5 * HOUR, 100_000]],
    ['up offset -1h', [-5000 - HOUR, 100_000 + HOUR]],
    ['up @ 5', all],
    ['up offset step()', all],
    ['rate(up[5m+1h])', all],
    ['rate(up[5m * 2])', all],
    ['up offset -(1h*5)', all],
    ['up offset 1h * 5', all],
    ['rate(up[5m]) / 2 - up * 3', [-5000 - 300_000 - 5000, 100_000]],
    ['up offset foo', all],
  ])('%s', (query, [minTimeMs, maxTimeMs]) => {
    expect(queryWindow(query, 0, 100_000, 5000)).toEqual({ minTimeMs, maxTimeMs });
  });

  // Minutes, if each mark were tried as a beginning.
  test.each([
    ['double', `"${'\\"'.repeat(500_000)}`],
    ['single', `'${"\\'".repeat(500_000)}`],
    ['back', '`"'.repeat(500_001)],
  ])('%s quotation marks that are not closed take no more time than closed ones', (_, query) => {
    expect(queryWindow(query, 0, 100_000, 5000)).toEqual({ minTimeMs: -5000, maxTimeMs: 100_000 });
  });
});

describe('parseSourceResolution', () => {
  test.each([
    ['', 300_000],
    ['max_source_resolution=auto', Number.POSITIVE_INFINITY],
    ['max_source_resolution=0s', 0],
    ['max_source_resolution=0', 0],
    ['max_source_resolution=1h', 3_600_000],
    ['max_source_resolution=3600', 3_600_000],
    ['max_source_resolution=1d', 86_400_000],
  ])('%j', (search, expected) => {
    expect(parseSourceResolution(new Params(search, ''), '5m')).toBe(expected);
  });

  test.each(['coarse', '-5m', '5 m'])('refuses %s', (text) => {
    const params = new Params(`max_source_resolution=${text}`, '');
    expect(() => parseSourceResolution(params, 'auto')).toThrow('invalid parameter "max_source_resolution"');
  });
});

describe('Params', () => {
  test('the body comes before the URL, and every value is kept', () => {
    const params = new Params('a=1&b=2&a=3', 'a=4&c=%C3%A4+%2B');
    expect(params.get('a')).toBe('4');
    expect(params.getAll('a')).toEqual(['4', '1', '3']);
    expect([params.get('b'), params.get('c'), params.get('d')]).toEqual(['2', 'ä +', '']);
    expect(() => params.check()).not.toThrow();
  });

  test.each([
    ['a=1&b=%zz&c=3', 'invalid URL escape "%zz"'],
    ['a=1&b%2=2&c=3', 'invalid URL escape "%2"'],
    ['a=1&b=2;d=4&c=3', 'invalid semicolon separator in query'],
  ])('leaves out the bad part of %s', (text, problem) => {
    const params = new Params(text, '');
    expect([params.get('a'), params.get('b'), params.get('c')]).toEqual(['1', '', '3']);
    expect(() => params.check()).toThrow(`error parsing form values: ${problem}`);
  });
});
