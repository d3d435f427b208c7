import { describe, expect, test } from '@jest/globals';
import { Params } from './params.js';
import { parseSearch, searchLines, searchNames } from './search.js';
import { makeScorer, similarity, subsequenceScore } from './search-score.js';

const NOW_MS = 10_000_000;
const parse = (text: string) => parseSearch(new Params(text, ''), 'metric_names', NOW_MS);
const NAMES = ['go_info', 'http_errors_total', 'http_requests_total', 'node_cpu_seconds_total', 'up'];
const search = (text: string) => searchNames(NAMES, parse(text), () => {}).map(({ name }) => name);

describe('scores', () => {
  test.each([
    ['abc', 'xabc', (9 - 1 / 4) / 9],
    ['abc', 'abxc', (4 + 1 - 1 / 4) / 9],
    ['ab', 'abab', (4 - 2 / 4 / 2) / 4],
    ['ac', 'xabc', (1 + 1 - 1 / 4 - 1 / 4) / 4],
    ['ba', 'ab', 0],
    ['ü', 'xü', 1 - 1 / 2],
  ])('%s in %s', (term, text, score) => {
    expect(subsequenceScore(Array.from(term), Array.from(text))).toBeCloseTo(score, 12);
  });

  test.each([
    ['MARTHA', 'MARHTA', 0.9611111111111111],
    ['DIXON', 'DICKSONX', 0.8133333333333332],
    ['abc', 'xyz', 0],
  ])('%s is like %s', (a, b, score) => {
    expect(similarity(Array.from(a), Array.from(b))).toBeCloseTo(score, 12);
    expect(similarity(Array.from(b), Array.from(a))).toBeCloseTo(score, 12);
  });

  test('a place in the text counts before similarity', () => {
    const score = makeScorer({
      terms: ['cpu'],
      measure: 'jarowinkler',
      threshold: 0,
      isCaseSensitive: false,
    });
    expect(score('CPU_total')).toBe(1);
    expect(score('node_cpu')).toBeCloseTo(1 - 0.9, 12);
    expect(score('copious')).toBeNull();
  });
});

describe('search', () => {
  test.each([
    ['', NAMES],
    ['sort_by=alpha&sort_dir=dsc', NAMES.toReversed()],
    [
      'search[]=total&fuzz_alg=jarowinkler',
      ['http_errors_total', 'http_requests_total', 'node_cpu_seconds_total'],
    ],
    ['search[]=hrt', ['http_errors_total', 'http_requests_total']],
    ['search[]=UP', []],
    ['search[]=UP&case_sensitive=false', ['up']],
    ['search[]=up&search[]=go', ['go_info', 'up']],
    ['search[]=requests&sort_by=score', ['http_requests_total']],
    ['search[]=http_requets_total&fuzz_alg=jarowinkler&fuzz_threshold=95', ['http_requests_total']],
    ['limit=2', ['go_info', 'http_errors_total', 'http_requests_total']],
  ])('%j', (text, names) => expect(search(text)).toEqual(names));

  test('lines are batches and a trailer', () => {
    const params = parse('limit=3&batch_size=2&include_score=true');
    const metadata = new Map([['go_info', [{ type: 'gauge', help: 'a<b', unit: '' }]]]);
    expect(
      searchLines(
        searchNames(NAMES, params, () => {}),
        params,
        metadata,
      ).split('\n'),
    ).toEqual([
      '{"results":[{"name":"go_info","score":1,"type":"gauge","help":"a\\u003cb"},{"name":"http_errors_total","score":1}]}',
      '{"results":[{"name":"http_requests_total","score":1}]}',
      '{"status":"success","has_more":true}',
      '',
    ]);
    expect(searchLines([], params, null)).toBe('{"results":[]}\n{"status":"success","has_more":false}\n');
  });

  test('the last hour is searched by default', () => {
    expect(parse('')).toMatchObject({
      startMs: NOW_MS - 3_600_000,
      endMs: NOW_MS,
      limit: 100,
      batchSize: 100,
    });
  });

  test.each([
    ['fuzz_threshold=101', 'invalid fuzz_threshold "101": must be 0-100'],
    ['fuzz_threshold=x', 'invalid fuzz_threshold "x": must be 0-100'],
    ['fuzz_alg=x', 'unsupported fuzz_alg "x": must be one of [subsequence jarowinkler]'],
    ['case_sensitive=x', 'invalid case_sensitive "x": must be boolean'],
    ['sort_dir=asc', 'sort_dir is only valid when sort_by is set'],
    ['sort_by=score&sort_dir=asc&search[]=a', 'sort_dir is not supported for sort_by=score'],
    ['sort_by=alpha&sort_dir=x', 'invalid sort_dir "x": must be "asc" or "dsc"'],
    ['sort_by=score', 'sort_by=score requires search[] to be set'],
    ['sort_by=x', 'invalid sort_by "x" for metric_names: must be "alpha" or "score"'],
    ['limit=-1', 'invalid limit "-1": must be non-negative integer'],
    ['limit=10001', 'limit 10001 exceeds the maximum of 10000'],
    ['batch_size=x', 'invalid batch_size "x": must be non-negative integer'],
    ['start=x', 'invalid parameter "start"'],
  ])('%s is refused', (text, message) => expect(() => parse(text)).toThrow(message));
});
