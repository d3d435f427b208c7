export { createMatcher } from './create.js';
export type { Matcher, MatchType } from './matcher.js';
