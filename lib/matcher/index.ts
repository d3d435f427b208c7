export { createMatcher } from './create.js';
export type { Matcher, MatchType } from './matcher.js';
export { type MatcherText, matcherOfText, textOfMatcher } from './matcher-text.js';
