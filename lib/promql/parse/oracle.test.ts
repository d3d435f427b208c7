// Holds our parser against two others: the scripts of upstream's own tests, of which every query must parse, and
// Prometheus' grammar for editors (lezer), which must accept and refuse what we do, as far as it checks at all.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parser } from '@prometheus-io/lezer-promql';
import fc from 'fast-check';
import type { Expr, ParserOptions } from './ast.js';
import { formatExpr } from './format.js';
import { parseExpr } from './parser.js';

const ALL: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  durationExpressions: true,
};

/** The folder with upstream's scripts: beside the checkout, or named by the environment. */
function findScripts(): string | null {
  const here = dirname(fileURLToPath(import.meta.url));
  const candidates = [process.env['VARVE_SHARED'], join(here, '../../../../../shared')];
  for (const shared of candidates)
    if (shared !== undefined && existsSync(join(shared, 'promqltest'))) return join(shared, 'promqltest');
  return null;
}

/** The queries of `eval` lines that are not expected to fail, with where they stand. */
function queriesOf(folder: string): [string, string][] {
  const queries: [string, string][] = [];
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.test'))
    .sort()) {
    const lines = readFileSync(join(folder, file), 'utf8').split('\n');
    lines.forEach((line, i) => {
      const command =
        /^eval(?:_warn|_info|_ordered)?\s+(?:instant\s+at\s+\S+|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+)\s+(.*)$/;
      const query = command.exec(line)?.[1];
      let next = i + 1;
      while (/^\s+expect (?!fail)/.test(lines[next] ?? '')) next++;
      const isFailure = /^\s+expect fail/.test(lines[next] ?? '');
      if (query !== undefined && !isFailure) queries.push([`${file}:${i + 1}`, query]);
    });
  }
  return queries;
}

const scripts = findScripts();
const queries = scripts === null ? [] : queriesOf(scripts);
if (scripts === null)
  process.stderr.write("oracle.test: upstream's promqltest scripts not found, SKIPPED (set VARVE_SHARED)\n");
const withScripts = scripts === null ? test.skip : test;

describe("upstream's scripts", () => {
  withScripts('every query parses, and its printed form means the same', () => {
    expect(queries.length).toBeGreaterThan(1500);
    const failures: string[] = [];
    for (const [place, query] of queries) {
      try {
        const expr = parseExpr(query, ALL);
        const printed = formatExpr(expr);
        const again = parseExpr(printed, ALL);
        if (formatExpr(again) !== printed) failures.push(`${place}: ${query} prints unstably as ${printed}`);
        if (!isSame(expr, again)) failures.push(`${place}: ${query} changes its meaning as ${printed}`);
      } catch (thrown) {
        failures.push(`${place}: ${query}: ${thrown instanceof Error ? thrown.message : thrown}`);
      }
    }
    expect(failures).toEqual([]);
  });

  withScripts('the editor grammar accepts what we accept and groups operators alike', () => {
    const known = queries.filter(([, query]) => !LEZER_LACKS.test(query));
    expect(known.length).toBeGreaterThan(1400);
    const failures = known.filter(([, query]) => {
      return isRefusedByLezer(query) || binariesOfLezer(query) !== binariesOf(query, parseExpr(query, ALL));
    });
    expect(failures).toEqual([]);
  });
});

/**
 * What the editor grammar does not read: forms newer than it, and `1.` as a number. Nor does it give the second of two
 * `offset` or `@` to the operand before it: `a offset 1m or b offset 2m` becomes an offset of the whole.
 */
const LEZER_LACKS =
  /min_of|max_of|step\(|range\(|start\(|end\(|offset *[-+(]|start_timestamp|\[[^\]]*[-+*/%^(]|\d\.(?!\d)|(@|offset).*(@|offset)/i;

function isRefusedByLezer(query: string): boolean {
  let isRefused = false;
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) isRefused = true;
    },
  });
  return isRefused;
}

/** Texts of all binary expressions, outermost first: the same list means the same grouping. */
function binariesOfLezer(query: string): string {
  const out: string[] = [];
  parser.parse(query).iterate({
    enter(node) {
      if (node.name === 'BinaryExpr') out.push(query.slice(node.from, node.to).trim());
    },
  });
  return out.join('\n');
}

function binariesOf(query: string, root: Expr): string {
  const bytes = Buffer.from(query);
  const out: string[] = [];
  const visit = (expr: Expr): void => {
    switch (expr.kind) {
      case 'binary':
        out.push(bytes.subarray(expr.pos.start, expr.pos.end).toString().trim());
        visit(expr.lhs);
        visit(expr.rhs);
        return;
      case 'paren':
      case 'unary':
      case 'subquery':
        visit(expr.expr);
        return;
      case 'call':
        expr.args.forEach(visit);
        return;
      case 'aggregate':
        if (expr.param !== null) visit(expr.param);
        visit(expr.expr);
        return;
      default:
    }
  };
  visit(root);
  return out.join('\n');
}

/** Equality of trees without positions and without the order of matchers, which printing sorts. */
function isSame(a: Expr, b: Expr): boolean {
  return canonical(a) === canonical(b);
}

function canonical(expr: Expr): string {
  return JSON.stringify(expr, (key, value: unknown) => {
    if (key === 'pos' || key === 'name') return undefined;
    if (key === 'matchers' && Array.isArray(value))
      return value.map((matcher) => JSON.stringify(matcher)).sort();
    return typeof value === 'number' ? String(value) : value;
  });
}

describe('generated text', () => {
  const words = [
    'foo',
    'sum',
    'rate',
    '(',
    ')',
    '{',
    '}',
    '[',
    ']',
    '5m',
    '1',
    '"a"',
    'a',
    '=',
    '=~',
    '!=',
    ',',
    ':',
    '+',
    '-',
    '*',
    '^',
    '==',
  ];
  const more = [
    'by',
    'on',
    'group_left',
    'bool',
    'offset',
    '@',
    'start',
    'and',
    'or',
    'step',
    'max_of',
    'anchored',
    'fill',
    'é',
    '#',
    '\n',
    '`',
  ];
  const text = fc
    .array(fc.constantFrom(...words, ...more), { maxLength: 14 })
    .map((parts) => parts.join(' '));

  test('either parses to something that prints and parses again, or is refused with a position', () => {
    fc.assert(
      fc.property(text, (query) => {
        let expr: Expr;
        try {
          expr = parseExpr(query, ALL);
        } catch (thrown) {
          expect(thrown).toMatchObject({
            code: 'promql-parse',
            message: expect.stringMatching(/^(\d+:\d+|unknown position): parse error: /),
          });
          return;
        }
        const printed = formatExpr(expr);
        expect(formatExpr(parseExpr(printed, ALL))).toBe(printed);
      }),
      { numRuns: 5000, seed: 3 },
    );
  });
});
