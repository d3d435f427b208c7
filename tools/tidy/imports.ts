import { posix } from 'node:path';
import {
  COMMAND_RANK,
  COMPONENT_RANK,
  OPEN_FOLDERS,
  OUTSIDE,
  PLATFORM_FOLDERS,
  PLATFORM_MODULES,
  RANKS,
  SAME_RANK_PAIRS,
} from './layers.js';
import type { Finding, SourceFile } from './source.js';
import { lineAt } from './source.js';

const IMPORT =
  /\b(?:import|export)\b[^'";]*?\bfrom\s*'([^']+)'|\bimport\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;

/** Where a file of the repository belongs. */
interface Place {
  /** `lib`, `cmd`, or a folder beside them. */
  readonly root: string;
  /** The unit that ranks are given to: a folder below lib, `cmd`, or the root itself. */
  readonly unit: string;
  /** The unit's folder, with a slash behind it. */
  readonly folder: string;
}

/** The unit a path belongs to. */
export function placeOf(path: string): Place {
  const [root = '', first = '', second = ''] = path.split('/');
  if (root !== 'lib') return { root, unit: root, folder: `${root}/` };
  const nested = first === 'tsdb' || first === 'promql';
  const unit = nested ? `${first}/${second}` : first;
  return { root, unit, folder: `lib/${unit}/` };
}

/** Tests, and what only tests import, may look at more than the code beside them. */
function isTest(path: string): boolean {
  return /\.(test|fuzz|bench)\.ts$/.test(path) || path.includes('/testing/') || path.startsWith('e2e/');
}

/** Checks every import of a TypeScript file against the layers. */
export function checkImports(file: SourceFile): Finding[] {
  if (!file.path.endsWith('.ts') || file.path.includes('/assembly/')) return [];
  const findings: Finding[] = [];
  const from = placeOf(file.path);
  if (from.root === 'lib' && RANKS[from.unit] === undefined) {
    findings.push({
      path: file.path,
      line: 1,
      text: `the folder ${from.folder} has no rank in tools/tidy/layers.ts`,
    });
  }
  for (const match of file.text.matchAll(IMPORT)) {
    const specifier = match[1] ?? match[2] ?? match[3]!;
    const problem = specifier.startsWith('.')
      ? relativeProblem(file.path, from, specifier)
      : moduleProblem(file.path, from, specifier);
    if (problem !== null) {
      findings.push({ path: file.path, line: lineAt(file.text, match.index), text: problem });
    }
  }
  return findings;
}

function moduleProblem(path: string, from: Place, specifier: string): string | null {
  if (from.root !== 'lib' || isTest(path) || !PLATFORM_MODULES.has(specifier)) return null;
  const rank = RANKS[from.unit] ?? 0;
  if (rank >= COMPONENT_RANK || PLATFORM_FOLDERS.has(from.unit)) return null;
  return `lib/${from.unit} must not know ${specifier}: engines and what is below them get the world as interfaces`;
}

function relativeProblem(path: string, from: Place, specifier: string): string | null {
  if (!/\.(js|json)$/.test(specifier)) return `the import '${specifier}' needs its ending, .js`;
  const target = posix.normalize(posix.join(posix.dirname(path), specifier));
  if (target.startsWith('..')) return `the import '${specifier}' leaves the repository`;
  const to = placeOf(target);
  if (to.unit === from.unit && to.root === from.root) return null;

  const rankProblem = directionProblem(path, from, to, target);
  if (rankProblem !== null) return rankProblem;
  if (to.root !== 'lib' || OPEN_FOLDERS.has(to.unit)) return null;
  const isForTests = isTest(path) && target.startsWith(`${to.folder}testing/`);
  return target === `${to.folder}index.js` || isForTests
    ? null
    : `import ${to.folder}index.js instead of ${target}: a folder's other files are its own business`;
}

function directionProblem(path: string, from: Place, to: Place, target: string): string | null {
  const allowed = OUTSIDE[from.root];
  if (allowed !== undefined) {
    return allowed.includes(to.root) || allowed.some((folder) => target.startsWith(`lib/${folder}/`))
      ? null
      : `${from.root}/ must not import ${to.root}/`;
  }
  if (to.root !== 'lib' && to.root !== 'cmd' && to.root !== 'proto') {
    return isTest(path) ? null : `${from.root}/ must not import ${to.root}/`;
  }
  if (from.root === 'lib' && isTest(path) && to.root === 'lib') return null;
  const fromRank = from.root === 'cmd' ? COMMAND_RANK : (RANKS[from.unit] ?? 0);
  const toRank = to.root === 'cmd' ? COMMAND_RANK : to.root === 'proto' ? 1 : (RANKS[to.unit] ?? 0);
  if (toRank < fromRank) return null;
  if (toRank > fromRank) return `${from.unit} (rank ${fromRank}) must not import ${to.unit} (rank ${toRank})`;
  if (fromRank === COMPONENT_RANK)
    return `the components ${from.unit} and ${to.unit} must not import each other`;
  if (SAME_RANK_PAIRS.has(`${from.unit} ${to.unit}`)) return null;
  return `${from.unit} and ${to.unit} have the same rank; if this import is right, list the pair in tools/tidy/layers.ts`;
}

/** Cycles among the pairs of equal rank: the list itself must stay a direction. */
export function findCycle(pairs: Iterable<string>): string[] | null {
  const next = new Map<string, string[]>();
  for (const pair of pairs) {
    const [from = '', to = ''] = pair.split(' ');
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  const done = new Set<string>();
  const walk = (unit: string, path: readonly string[]): string[] | null => {
    if (path.includes(unit)) return [...path.slice(path.indexOf(unit)), unit];
    if (done.has(unit)) return null;
    for (const to of next.get(unit) ?? []) {
      const cycle = walk(to, [...path, unit]);
      if (cycle !== null) return cycle;
    }
    done.add(unit);
    return null;
  };
  for (const unit of next.keys()) {
    const cycle = walk(unit, []);
    if (cycle !== null) return cycle;
  }
  return null;
}
