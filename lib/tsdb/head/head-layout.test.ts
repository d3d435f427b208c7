import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';

// The layout of a head's memory is written down once for the kernel, in AssemblyScript, and repeated by its readers in
// TypeScript. The sources are compared, since neither compiler can read the other's.

const ROOT_FOLDER = new URL('../../../../', import.meta.url);

function constantsOf(path: string): Map<string, number> {
  const text = readFileSync(new URL(path, ROOT_FOLDER), 'utf8');
  const found = new Map<string, number>();
  for (const [, name, value] of text.matchAll(
    /^(?:export )?const ([A-Z0-9_]+)(?:: \w+)? = (0x[0-9a-f]+|\d+);/gm,
  )) {
    found.set(name!, Number(value));
  }
  return found;
}

const layout = constantsOf('lib/kernel/assembly/head/layout.ts');

describe('the layout of a head', () => {
  test.each(['lib/tsdb/head/head-memory.ts', 'lib/kernel/head.ts'])(
    '%s has the constants of the kernel',
    (path) => {
      const repeated = [...constantsOf(path)].filter(([name]) => layout.has(name));
      expect(repeated.length).toBeGreaterThan(3);
      expect(repeated).toEqual(repeated.map(([name]) => [name, layout.get(name)]));
    },
  );

  test('readers find the root record', () => {
    const text = readFileSync(new URL('lib/tsdb/head/head-memory.ts', ROOT_FOLDER), 'utf8');
    const fields = [
      ...text
        .slice(text.indexOf('const ROOT = {'))
        .split('}')[0]!
        .matchAll(/(\w+): (\d+),/g),
    ];
    const wanted = fields.map(([, name]) => [
      name,
      layout.get(`ROOT_${name!.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`),
    ]);
    expect(fields.length).toBe(9);
    expect(fields.map(([, name, value]) => [name, Number(value)])).toEqual(wanted);
  });
});
