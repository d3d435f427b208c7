// Compares our parser with the real Prometheus: `parse_query` and `format_query` of a server without data. Prometheus
// 3.5 serves as the reference; texts and forms that changed on the way to 3.14 are listed here, each with its reason.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  exprToJson,
  type JsonValue,
  type ParserOptions,
  parseExpr,
  prettyExpr,
} from '../lib/promql/parse/index.js';
import { INVALID_QUERIES, VALID_QUERIES } from './promql-parse.queries.js';

const OPTIONS: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: false,
  binopFillModifiers: false,
  durationExpressions: true,
};

/** Printed forms that differ on purpose: 3.5 printed text that meant something else, or did not parse. */
const FORMAT_CHANGES: ReadonlyMap<string, string> = new Map([
  ['foo * on("a b", c) bar', 'labels of matching are quoted since 3.6'],
  ['foo + ignoring() group_left bar', 'an empty ignoring() before a group modifier is kept since 3.6'],
  ['sum(foo) by (a:b)', 'labels with a colon are quoted since 3.6'],
]);

/** Queries whose errors differ on purpose. */
const ERROR_CHANGES: ReadonlyMap<string, string> = new Map([
  ['foo[5m:x]', '3.5 takes any letter after a colon for a second colon'],
  ['foo offset NaN', '3.5 converts NaN to the least integer; we say "duration out of range"'],
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

const NEW_KEYS: ReadonlySet<string> = new Set([
  'anchored',
  'smoothed',
  'fillValues',
  'offsetExpr',
  'rangeExpr',
  'stepExpr',
]);

/** Our JSON without the keys 3.5 does not have. */
function withoutNewKeys(value: JsonValue): JsonValue {
  return JSON.parse(JSON.stringify(value, (key, inner: unknown) => (NEW_KEYS.has(key) ? undefined : inner)));
}

interface Answer {
  readonly status: 'success' | 'error';
  readonly data?: JsonValue;
  readonly error?: string;
}

const binary = process.env['PROMETHEUS_BIN'] ?? '/root/peers/bin/prometheus';
const folder = mkdtempSync(join(tmpdir(), 'varve-parse-'));
let server: ChildProcess | null = null;
let base = '';

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function ask(path: string, query: string): Promise<Answer> {
  const response = await fetch(`${base}/api/v1/${path}`, {
    method: 'POST',
    body: new URLSearchParams({ query }),
  });
  return (await response.json()) as Answer;
}

/** Our parse: a tree, or the text of the error. */
function parse(query: string): ReturnType<typeof parseExpr> | string {
  try {
    return parseExpr(query, OPTIONS);
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

const withPrometheus = existsSync(binary) ? describe : describe.skip;
if (!existsSync(binary))
  process.stderr.write(`promql-parse.test: no ${binary}, SKIPPED (set PROMETHEUS_BIN)\n`);

withPrometheus('against the real Prometheus', () => {
  beforeAll(async () => {
    writeFileSync(join(folder, 'prometheus.yml'), 'global: {}\n');
    base = `http://127.0.0.1:${await freePort()}`;
    server = spawn(
      binary,
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${base.slice('http://'.length)}`,
        '--enable-feature=promql-experimental-functions,promql-duration-expr',
      ],
      { stdio: 'ignore' },
    );
    for (let i = 0; i < 150; i++) {
      const isReady = await fetch(`${base}/-/ready`).then(
        (response) => response.ok,
        () => false,
      );
      if (isReady) return;
      await wait(100);
    }
    throw new Error('Prometheus did not become ready in 15 s');
  }, 30_000);

  afterAll(async () => {
    if (server !== null && server.exitCode === null) {
      server.kill();
      await once(server, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test('valid queries have the same tree and the same printed form', async () => {
    for (const query of VALID_QUERIES) {
      const theirs = await ask('parse_query', query);
      const ours = parse(query);
      expect([query, theirs.error]).toEqual([query, undefined]);
      if (typeof ours === 'string') throw new Error(`${JSON.stringify(query)} is refused: ${ours}`);
      expect([query, withoutNewKeys(exprToJson(ours))]).toEqual([query, theirs.data]);
      if (FORMAT_CHANGES.has(query)) continue;
      const printed = await ask('format_query', query);
      expect([query, prettyExpr(ours)]).toEqual([query, printed.data]);
    }
  }, 60_000);

  test('invalid queries have the same error with the same position', async () => {
    for (const query of INVALID_QUERIES) {
      const ours = parse(query);
      expect([query, typeof ours]).toEqual([query, 'string']);
      if (ERROR_CHANGES.has(query)) continue;
      const theirs = await ask('parse_query', query);
      const error = modernize((theirs.error ?? 'no error').replace('invalid parameter "query": ', ''));
      expect([query, ours]).toEqual([query, error]);
    }
  }, 60_000);
});
