import { codeOnly, type Finding, lineAt, type SourceFile } from './source.js';

const LINES_MAX = 700;
const IS_SOURCE = /\.(ts|tsx|mjs|js|sh)$/;
const IS_TYPESCRIPT = /\.tsx?$/;
/** AssemblyScript needs a `ts-ignore` before each decorator, as editors take it for TypeScript. */
const IS_ASSEMBLY = /\/assembly\//;

// Put together from pieces, so that this file does not find itself.
const MARKERS = new RegExp(
  `\\b(${['TO', 'FIX', 'X', 'HA'].map((head, i) => head + ['DO', 'ME', 'XX', 'CK'][i]).join('|')})\\b`,
  'g',
);
const ANY = /(?::|\bas|<|,|\||&|=>)\s*any\b|\bany\[\]/g;
const SWITCHED_OFF = new RegExp(
  `@ts-(${['ig', 'no', 'expect-e'].map((head, i) => head + ['nore', 'check', 'rror'][i]).join('|')})`,
  'g',
);
const FOCUSED = /\b(?:describe|test|it)\.(?:only|todo)\b/g;
const MACHINE_PATH = /(?<![\w.$}/~-])\/(?:root|work|home\/\w+|Users\/\w+)\/[\w.-]/g;
const LOCK_HOST = /"resolved":/g;

function all(file: SourceFile, text: string, pattern: RegExp, message: (found: string) => string): Finding[] {
  return [...text.matchAll(pattern)].map((match) => ({
    path: file.path,
    line: lineAt(text, match.index),
    text: message(match[0]),
  }));
}

/** No marker of unfinished work. */
export function checkMarkers(file: SourceFile): Finding[] {
  if (!IS_SOURCE.test(file.path)) return [];
  return all(
    file,
    file.text,
    MARKERS,
    (found) => `${found}: finish it, or write down what would make it due`,
  );
}

/** The type checker stays on everywhere. */
export function checkTypes(file: SourceFile): Finding[] {
  if (!IS_TYPESCRIPT.test(file.path) || IS_ASSEMBLY.test(file.path)) return [];
  return [
    ...all(file, codeOnly(file.text), ANY, () => '`any` switches the type checker off: `unknown` at edges'),
    ...all(file, file.text, SWITCHED_OFF, (found) => `${found} switches the type checker off`),
  ];
}

/** No test that runs alone or does not exist yet. */
export function checkFocus(file: SourceFile): Finding[] {
  if (!file.path.endsWith('.test.ts')) return [];
  return all(file, codeOnly(file.text), FOCUSED, (found) => `${found} hides other tests or stands for none`);
}

/** A file is one thing, and a person can read it. */
export function checkLength(file: SourceFile): Finding[] {
  if (!IS_SOURCE.test(file.path)) return [];
  const lines = file.text.split('\n').length - 1;
  if (lines <= LINES_MAX) return [];
  return [
    { path: file.path, line: LINES_MAX, text: `${lines} lines, more than ${LINES_MAX}: is it one thing?` },
  ];
}

/** No path of the machine something was written on. */
export function checkPaths(file: SourceFile): Finding[] {
  return all(file, file.text, MACHINE_PATH, (found) => `a path of one machine: ${found}…`);
}

/** The lock file names no registry host, so that it installs from whichever registry a machine uses. */
export function checkLock(file: SourceFile): Finding[] {
  if (!file.path.endsWith('package-lock.json')) return [];
  const found = all(file, file.text, LOCK_HOST, () => 'the lock file names the host a package came from');
  return found.slice(0, 1);
}
