import { createMatcher } from './create.js';
import type { Matcher, MatchType } from './matcher.js';

/** A matcher as plain data, which can be stored and sent to another thread. */
export type MatcherText = readonly [type: MatchType, name: string, value: string];

/** The plain data of a matcher. */
export function textOfMatcher({ type, name, value }: Matcher): MatcherText {
  return [type, name, value];
}

/** The matcher of plain data. @throws VarveError client `matcher-regex` */
export function matcherOfText([type, name, value]: MatcherText): Matcher {
  return createMatcher(type, name, value);
}
