import { LRUCache } from 'lru-cache';
import { RE2JS } from 're2js';
import { messageOf, VarveError } from '../errors/index.js';
import { enumerate, globOf, globTest, prefixOf } from './analyse.js';
import { compileAutomaton } from './automaton.js';
import { readPattern } from './syntax.js';

/** A pattern compiled for whole-string tests: anchored at both ends, `.` matches line feeds. */
export interface CompiledRegexp {
  /** Every string the pattern accepts, when they are few and known; else null. */
  readonly oneOf: readonly string[] | null;
  /** Literal prefix of every accepted string; '' when none is known. */
  readonly prefix: string;
  /** Whether the pattern accepts the text. Linear in its length. */
  readonly test: (text: string) => boolean;
}

/** A pattern may stand for this many strings, and one more per character of its own, before it is no list. */
const ONE_OF_MAX = 256;

/** What a compiled pattern may cost beside what grows with its length, in bytes: an automaton at its largest. */
const COMPILED_BYTES = 200_000;

/** Patterns come back with every refresh of a dashboard. */
const cache = new LRUCache<string, CompiledRegexp>({
  maxSize: 64 * 1024 * 1024,
  sizeCalculation: (compiled, pattern) =>
    100 + pattern.length * 100 + (compiled.oneOf === null ? COMPILED_BYTES : 0),
});

/**
 * Compiles an RE2 pattern. Lists of literals, literals with `.*` between, and most others get tests of their own; the
 * rest goes to re2js. All agree with RE2.
 * @throws VarveError `client`/`matcher-regex`, with the text of Go's regexp package
 */
export function compileRegexp(pattern: string): CompiledRegexp {
  const known = cache.get(pattern);
  if (known !== undefined) return known;
  const compiled = compile(pattern);
  cache.set(pattern, compiled);
  return compiled;
}

function compile(pattern: string): CompiledRegexp {
  const node = readPattern(pattern);
  if (node === null) return { oneOf: null, prefix: '', test: compileFull(pattern) };
  const oneOf = enumerate(node, ONE_OF_MAX + pattern.length);
  const prefix = prefixOf(node);
  if (oneOf !== null) return { oneOf, prefix, test: listTest(oneOf) };
  const glob = globOf(node);
  if (glob !== null) return { oneOf, prefix, test: globTest(glob) };
  const automaton = compileAutomaton(node);
  if (automaton === null) return { oneOf, prefix, test: compileFull(pattern) };
  let full: ((text: string) => boolean) | null = null;
  const test = (text: string): boolean => {
    const verdict = full === null ? automaton.test(text) : null;
    if (verdict !== null) return verdict;
    // It will not grow smaller: leave the automaton for good.
    full ??= compileFull(pattern);
    return full(text);
  };
  return { oneOf, prefix, test };
}

function listTest(values: readonly string[]): (text: string) => boolean {
  const [first, second] = values;
  if (values.length === 1) return (text) => text === first;
  if (values.length === 2) return (text) => text === first || text === second;
  const set = new Set(values);
  return (text) => set.has(text);
}

function compileFull(pattern: string): (text: string) => boolean {
  try {
    const compiled = RE2JS.compile(pattern, RE2JS.DOTALL);
    return (text) => compiled.matches(text);
  } catch (thrown) {
    throw new VarveError('client', 'matcher-regex', describe(pattern, thrown), { cause: thrown });
  }
}

/** re2js writes flags into the pattern and shows them; its message without flags is Go's, but for one detail. */
function describe(pattern: string, thrown: unknown): string {
  let message = messageOf(thrown);
  try {
    RE2JS.compile(pattern);
  } catch (again) {
    message = messageOf(again);
  }
  return message.endsWith('trailing backslash at end of expression') ? `${message}: \`\`` : message;
}
