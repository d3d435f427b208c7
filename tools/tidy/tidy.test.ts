import { describe, expect, test } from '@jest/globals';
import { checkImports, findCycle } from './imports.js';
import { SAME_RANK_PAIRS } from './layers.js';
import { checkFocus, checkLength, checkLock, checkMarkers, checkPaths, checkTypes } from './rules.js';
import { codeOnly, type Finding, type SourceFile } from './source.js';

const file = (path: string, text: string): SourceFile => ({ path, text });
const texts = (findings: readonly Finding[]) => findings.map(({ text }) => text);

describe('imports', () => {
  test.each([
    ['downwards', 'lib/querier/a.ts', '../promql/exec/index.js'],
    ['inside the folder', 'lib/tsdb/head/a.ts', './b.js'],
    ['a listed pair', 'lib/tsdb/head/a.ts', '../index/index.js'],
    ['from a command', 'cmd/querier/role.ts', '../../lib/querier/index.js'],
    ['between commands', 'cmd/varve/main.ts', '../querier/role.js'],
    ['the inside of the kernel', 'bench/kernel/a.ts', '../../lib/kernel/codec.js'],
    ['from a suite to the runner of scripts', 'e2e/conformance/a.ts', '../../lib/promql/testing/index.js'],
    ['from the bench to the suites', 'bench/ingest/main.ts', '../../e2e/peers.js'],
    ['a test that looks up', 'lib/tsdb/head/a.test.ts', '../../promql/exec/index.js'],
  ])('%s is fine', (_, path, specifier) => {
    expect(checkImports(file(path, `import { a } from '${specifier}';`))).toEqual([]);
  });

  test.each([
    [
      'upwards',
      'lib/storage/a.ts',
      '../querier/index.js',
      'storage (rank 3) must not import querier (rank 5)',
    ],
    [
      'into the command',
      'lib/querier/a.ts',
      '../../cmd/varve/main.js',
      'querier (rank 5) must not import cmd (rank 6)',
    ],
    ['between components', 'lib/querier/a.ts', '../ingester/index.js', 'must not import each other'],
    ['an unlisted pair', 'lib/tsdb/index/a.ts', '../block/index.js', 'list the pair'],
    ['the platform from an engine', 'lib/tsdb/wal/a.ts', '../../telemetry/index.js', 'list the pair'],
    ['a file behind an index', 'lib/querier/a.ts', '../tsdb/head/head.js', 'import lib/tsdb/head/index.js'],
    [
      'a file behind an index, in a test',
      'lib/querier/a.test.ts',
      '../tsdb/head/head.js',
      'import lib/tsdb/head/index.js',
    ],
    ['the program from a suite', 'e2e/a.test.ts', '../lib/wire/index.js', 'e2e/ must not import lib/'],
    ['a suite from the program', 'lib/querier/a.ts', '../../e2e/peers.js', 'lib/ must not import e2e/'],
    ['without an ending', 'lib/querier/a.ts', './b', 'needs its ending'],
    ['out of the repository', 'tools/a.ts', '../../elsewhere.js', 'leaves the repository'],
  ])('%s is found', (_, path, specifier, message) => {
    const found = texts(checkImports(file(path, `\nimport type { a } from '${specifier}';\n`)));
    expect(found).toEqual([expect.stringContaining(message)]);
  });

  test('every form of import is read, and its line told', () => {
    const text = [
      "import {\n  a,\n} from '../ingester/index.js';",
      "export { b } from '../ingester/index.js';",
      "import '../ingester/index.js';",
      "await import('../ingester/index.js');",
      "new URL('../ingester/worker.js', import.meta.url);",
    ].join('\n');
    expect(checkImports(file('lib/ruler/a.ts', text)).map(({ line }) => line)).toEqual([1, 4, 5, 6]);
  });

  test('an engine must not know the network', () => {
    const text = "import { request } from 'node:http';";
    expect(checkImports(file('lib/tsdb/wal/a.ts', text)).length).toBe(1);
    expect(checkImports(file('lib/http/a.ts', text))).toEqual([]);
    expect(checkImports(file('lib/querier/a.ts', text))).toEqual([]);
    expect(checkImports(file('lib/tsdb/wal/a.test.ts', text))).toEqual([]);
  });

  test('a folder without a rank is found', () => {
    expect(texts(checkImports(file('lib/things/a.ts', '')))).toEqual([
      expect.stringContaining('has no rank'),
    ]);
  });

  test('the listed pairs have no cycle, and a cycle would be found', () => {
    expect(findCycle(SAME_RANK_PAIRS)).toBeNull();
    expect(findCycle(['a b', 'b c', 'c a'])).toEqual(['a', 'b', 'c', 'a']);
  });
});

describe('rules', () => {
  test.each([
    ['let a: any;', 1],
    ['f(x as any)', 1],
    ['let a: Map<string, any>;', 1],
    ['let a: any[] = [];', 1],
    ['// takes: any number', 0],
    ["const s = 'as any';", 0],
    ['const r = /: any/;', 0],
    ['let a: unknown; // as any', 0],
    ['const company: Company = any1;', 0],
  ])('%j holds %i `any`', (text, count) => {
    expect(checkTypes(file('lib/a.ts', text)).length).toBe(count);
  });

  test('a switched-off check is found, but not in the kernel', () => {
    const text = `// @ts-${'ignore'}: decorator`;
    expect(checkTypes(file('lib/a.ts', text)).length).toBe(1);
    expect(checkTypes(file('lib/kernel/assembly/a.ts', text))).toEqual([]);
  });

  test('markers are found in code and not in prose', () => {
    const text = `// ${'TO'}DO: later`;
    expect(checkMarkers(file('lib/a.ts', text)).length).toBe(1);
    expect(checkMarkers(file('docs/a.md', text))).toEqual([]);
  });

  test('a focused test is found', () => {
    expect(checkFocus(file('lib/a.test.ts', `test${'.only'}('a', f)`)).length).toBe(1);
  });

  test('a long file is found', () => {
    expect(checkLength(file('lib/a.ts', 'x\n'.repeat(700)))).toEqual([]);
    expect(checkLength(file('lib/a.ts', 'x\n'.repeat(701))).length).toBe(1);
  });

  test.each([
    [`see /${'root'}/peers/bin`, 1],
    [`cd /${'home'}/someone/varve`, 1],
    ['$HOME/work/things', 0],
    ['https://example.org/work/things', 0],
    ['var/root/x', 0],
  ])('%j holds %i machine paths', (text, count) => {
    expect(checkPaths(file('README.md', text)).length).toBe(count);
  });

  test('a lock file with hosts is found', () => {
    const text = '{"a": {"resolved": "https://example.org/a.tgz"}}';
    expect(checkLock(file('package-lock.json', text)).length).toBe(1);
    expect(checkLock(file('package-lock.json', '{}'))).toEqual([]);
  });

  test('code is told from comments, strings and regular expressions', () => {
    const text = "a = 'x'; // b\nc = /'/.test(d) / 2; /* e */ f = `g`;";
    expect(codeOnly(text).replace(/ +/g, ' ').trim()).toBe('a = ; \nc = .test(d) / 2; f = ;');
  });
});
