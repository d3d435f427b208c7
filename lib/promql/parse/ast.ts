import type { Matcher } from '../../matcher/index.js';

/** Byte offsets of a node in the UTF-8 query text, end exclusive. Error positions are made from these. */
export interface PositionRange {
  readonly start: number;
  readonly end: number;
}

export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string' | 'none';

export type BinaryOperator =
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '^'
  | 'atan2'
  | '=='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | '</'
  | '>/'
  | 'and'
  | 'or'
  | 'unless';

export type AggregateOperator =
  | 'sum'
  | 'avg'
  | 'count'
  | 'min'
  | 'max'
  | 'group'
  | 'stddev'
  | 'stdvar'
  | 'topk'
  | 'bottomk'
  | 'count_values'
  | 'quantile'
  | 'limitk'
  | 'limit_ratio';

/** An arithmetic expression in duration position, e.g. `[5m * 2]`; evaluated once per query. Values in seconds. */
export type DurationExpr =
  | {
      readonly kind: 'number';
      readonly value: number;
      readonly isDuration: boolean;
      readonly pos: PositionRange;
    }
  | { readonly kind: 'step' | 'range'; readonly pos: PositionRange }
  | {
      readonly kind: 'unary';
      readonly op: '+' | '-';
      readonly expr: DurationExpr;
      readonly wrapped: boolean;
      readonly pos: PositionRange;
    }
  | {
      readonly kind: 'binary';
      readonly op: '+' | '-' | '*' | '/' | '%' | '^' | 'min_of' | 'max_of';
      readonly lhs: DurationExpr;
      readonly rhs: DurationExpr;
      /** Written inside parentheses. */
      readonly wrapped: boolean;
      readonly pos: PositionRange;
    };

/** `offset` and `@` of a selector or subquery. */
export interface TimeShift {
  /** Offset in ms as written (0 when absent or given by `offsetExpr`). */
  offsetMs: number;
  offsetExpr: DurationExpr | null;
  /** `@ <number>` in ms, or null. */
  atMs: number | null;
  /** `@ start()` / `@ end()`, or null. */
  atBound: 'start' | 'end' | null;
}

export interface VectorSelector extends TimeShift {
  readonly kind: 'vectorSelector';
  /** The name written outside the braces, or ''. */
  readonly name: string;
  /** Matchers in the order written, the outside name last. */
  readonly matchers: readonly Matcher[];
  anchored: boolean;
  smoothed: boolean;
  pos: PositionRange;
}

export interface MatrixSelector {
  readonly kind: 'matrixSelector';
  readonly selector: VectorSelector;
  /** Range in ms (0 when given by `rangeExpr`). */
  readonly rangeMs: number;
  readonly rangeExpr: DurationExpr | null;
  pos: PositionRange;
}

export interface Subquery extends TimeShift {
  readonly kind: 'subquery';
  readonly expr: Expr;
  readonly rangeMs: number;
  readonly rangeExpr: DurationExpr | null;
  /** Step in ms; 0 means the default evaluation interval. */
  readonly stepMs: number;
  readonly stepExpr: DurationExpr | null;
  pos: PositionRange;
}

export interface NumberLiteral {
  readonly kind: 'number';
  readonly value: number;
  /** Written as a duration (`5m`), which prints back as one. */
  readonly isDuration: boolean;
  readonly pos: PositionRange;
}

export interface StringLiteral {
  readonly kind: 'string';
  readonly value: string;
  readonly pos: PositionRange;
}

export interface ParenExpr {
  readonly kind: 'paren';
  readonly expr: Expr;
  readonly pos: PositionRange;
}

export interface UnaryExpr {
  readonly kind: 'unary';
  readonly op: '+' | '-';
  readonly expr: Expr;
  readonly pos: PositionRange;
}

export interface Call {
  readonly kind: 'call';
  /** Name of a function in the table of `functions.ts`. */
  readonly func: string;
  readonly args: readonly Expr[];
  readonly pos: PositionRange;
}

export interface Aggregate {
  readonly kind: 'aggregate';
  readonly op: AggregateOperator;
  readonly expr: Expr;
  readonly param: Expr | null;
  readonly grouping: readonly string[];
  readonly without: boolean;
  readonly pos: PositionRange;
}

export type MatchCardinality = 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many';

export interface VectorMatching {
  readonly cardinality: MatchCardinality;
  /** Labels of `on` or `ignoring`. */
  readonly labels: readonly string[];
  readonly on: boolean;
  /** Labels of `group_left` / `group_right`. */
  readonly include: readonly string[];
  readonly fillLeft: number | null;
  readonly fillRight: number | null;
}

export interface BinaryExpr {
  readonly kind: 'binary';
  readonly op: BinaryOperator;
  readonly lhs: Expr;
  readonly rhs: Expr;
  readonly returnBool: boolean;
  /** Present when both operands are instant vectors. */
  readonly matching: VectorMatching | null;
  readonly pos: PositionRange;
}

export type Expr =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | Subquery
  | ParenExpr
  | UnaryExpr
  | Call
  | Aggregate
  | BinaryExpr;

export interface FunctionSignature {
  readonly name: string;
  readonly argTypes: readonly ValueType[];
  /** 0: fixed arguments; n > 0: up to n optional ones at the end; -1: any number of the last type. */
  readonly variadic: number;
  readonly returnType: ValueType;
  readonly experimental: boolean;
}

/** Optional parts of the language, named as Prometheus' feature flags. */
export interface ParserOptions {
  readonly experimentalFunctions: boolean;
  readonly extendedRangeSelectors: boolean;
  readonly binopFillModifiers: boolean;
  readonly durationExpressions: boolean;
}
