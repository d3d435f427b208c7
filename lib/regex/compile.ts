import { RE2JS } from 're2js';
import { messageOf, VarveError } from '../errors/index.js';

/** A pattern compiled for whole-string tests: anchored at both ends, `.` matches line feeds. */
export interface CompiledRegexp {
  /** Every string the pattern accepts, when they are few and known; else null. */
  readonly oneOf: readonly string[] | null;
  /** Literal prefix of every accepted string; '' when none is known. */
  readonly prefix: string;
  /** Whether the pattern accepts the text. Linear in its length. */
  readonly test: (text: string) => boolean;
}

export function compileRegexp(pattern: string): CompiledRegexp {
  try {
    const compiled = RE2JS.compile(pattern, RE2JS.DOTALL);
    return { oneOf: null, prefix: '', test: (text) => compiled.matches(text) };
  } catch (thrown) {
    throw new VarveError('client', 'matcher-regex', messageOf(thrown), { cause: thrown });
  }
}
