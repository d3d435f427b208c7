// Compares what Varve and the real Prometheus say about the text of a query, without any data: the tree of
// `parse_query`, the text of `format_query`, and errors with their positions. The reference is Prometheus 3.5; what
// changed on the way to 3.14, whose language Varve speaks, is listed here with the reason.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { havePeers, type Server, startPrometheus } from './peers.js';
import { stopAll } from './processes.js';
import { INVALID_QUERIES } from './promql-invalid.js';
import { VALID_QUERIES } from './promql-valid.js';
import { startVarve } from './varve.js';

const EXPERIMENTAL = 'promql-experimental-functions';

/** Printed forms that differ on purpose: what 3.5 printed meant something else or did not parse. */
const FORMAT_CHANGES: ReadonlyMap<string, string> = new Map([
  ['foo * on("a b", c) bar', 'labels of matching are quoted now'],
  ['foo + ignoring() group_left bar', 'an empty ignoring() before a group modifier is kept now'],
  ['sum(foo) by (a:b)', 'labels with a colon are quoted now'],
]);

/** Queries whose errors differ on purpose. */
const ERROR_CHANGES: ReadonlyMap<string, string> = new Map([
  ['foo[5m:x]', '3.5 takes any letter after a colon for a second colon'],
  ['foo offset NaN', 'converted to the least integer by the reference, refused as out of range by Varve'],
  ['info(foo, 1)', '3.5 panics in its check ("unexpected error")'],
  ['info(foo, (bar))', '3.5 panics in its check ("unexpected error")'],
  ['info(foo, foo[5m])', '3.5 panics in its check ("unexpected error")'],
]);

/** Words of 3.5 errors in their present form. */
function modernize(error: string): string {
  return error
    .replace(/expected number or duration or "]"$/, 'expected number, duration, step(), range(), or "]"')
    .replace(/expected number or duration$/, 'expected number, duration, step(), or range()')
    .replace(
      /in subquery selector(, expected number, duration, step\(\), or range\(\))$/,
      'in subquery or range selector$1',
    )
    .replace(/"<Item \d+>" <op:@>/, '<op:@>');
}

/** Keys of `parse_query` that 3.5 does not have. */
const NEW_KEYS: ReadonlySet<string> = new Set([
  'anchored',
  'smoothed',
  'fillValues',
  'offsetExpr',
  'rangeExpr',
  'stepExpr',
]);

interface Answer {
  readonly code: number;
  readonly data?: unknown;
  readonly error?: string;
}

async function ask(server: Server, endpoint: string, query: string): Promise<Answer> {
  const response = await fetch(`${server.api}/${endpoint}`, {
    method: 'POST',
    body: new URLSearchParams({ query }),
  });
  const body = JSON.parse(await response.text(), (key, value: unknown) =>
    NEW_KEYS.has(key) ? undefined : value,
  ) as Omit<Answer, 'code'>;
  return { ...body, code: response.status };
}

const withPrometheus = havePeers('prometheus') ? describe : describe.skip;

withPrometheus('against the real Prometheus', () => {
  let prometheus: Server;
  let varve: Server;

  beforeAll(async () => {
    prometheus = await startPrometheus({ args: [`--enable-feature=${EXPERIMENTAL},promql-duration-expr`] });
    varve = await startVarve({ args: [`--enable-feature=${EXPERIMENTAL}`] });
  });

  afterAll(stopAll);

  test('valid queries have the same tree and the same printed form', async () => {
    for (const query of VALID_QUERIES) {
      const [theirs, ours] = [
        await ask(prometheus, 'parse_query', query),
        await ask(varve, 'parse_query', query),
      ];
      expect([query, theirs.error]).toEqual([query, undefined]);
      expect([query, ours]).toEqual([query, theirs]);
      if (FORMAT_CHANGES.has(query)) continue;
      const printed = await ask(prometheus, 'format_query', query);
      expect([query, await ask(varve, 'format_query', query)]).toEqual([query, printed]);
    }
  });

  test('invalid queries have the same error with the same position', async () => {
    for (const query of INVALID_QUERIES) {
      const ours = await ask(varve, 'format_query', query);
      expect([query, ours.code]).toEqual([query, 400]);
      if (ERROR_CHANGES.has(query)) continue;
      const theirs = await ask(prometheus, 'format_query', query);
      expect([query, ours.error]).toEqual([query, modernize(theirs.error ?? 'no error')]);
    }
  });
});
