export type { Matcher, MatchType } from './matcher.js';
