/** One label test. `=~` and `!~` have RE2 syntax, are anchored at both ends, and `.` matches newlines. */
export type MatchType = '=' | '!=' | '=~' | '!~';

/**
 * A compiled matcher. An absent label counts as the empty string.
 * `equalTo`, `oneOf` and `prefix` describe what the test accepts before negation, so that an index can look values up
 * instead of scanning them.
 */
export interface Matcher {
  readonly type: MatchType;
  readonly name: string;
  readonly value: string;
  /** True for `!=` and `!~`. */
  readonly isNegative: boolean;
  /** True when the test accepts the empty string, i.e. series without the label. */
  readonly matchesEmpty: boolean;
  /** Values accepted before negation when they are few and known: `=`/`!=` have one, `a|b|c` has three; else null. */
  readonly oneOf: readonly string[] | null;
  /** Literal prefix that every value accepted before negation has; '' when there is none. */
  readonly prefix: string;
  /** Whether the test, negation included, accepts this value. Linear in its length. */
  matches(value: string): boolean;
}
