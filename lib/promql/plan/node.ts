import type { Matcher } from '../../matcher/index.js';
import type { SelectHints, WindowForm } from '../../storage/index.js';
import type { AggregateOperator, BinaryOperator, PositionRange, VectorMatching } from '../parse/index.js';

/**
 * The plan: what is left of a query once every time is known. Offsets, `@`, duration expressions and step invariance
 * are resolved; equal sub-expressions are one node (`uses` counts the parents), so that they are evaluated once.
 */

/** The steps a node is evaluated at: `startMs + k * stepMs` for k < count. */
export interface Grid {
  readonly startMs: number;
  readonly stepMs: number;
  readonly count: number;
}

/** One storage select; shared by all selectors that ask for the same series and times. */
export interface SelectSpec {
  readonly index: number;
  readonly matchers: readonly Matcher[];
  readonly hints: SelectHints;
  readonly pos: PositionRange;
}

interface NodeBase {
  readonly grid: Grid;
  /** Where annotations about this node point; of equal nodes the last one in the query counts. */
  pos: PositionRange;
  /** Number of parents. */
  uses: number;
}

/** Times a leaf reads at: reference of step k is `referenceMs + k * referenceStepMs` (step 0 when pinned by `@`). */
export interface LeafTimes {
  readonly referenceMs: number;
  readonly referenceStepMs: number;
  readonly offsetMs: number;
  /** How often the samples count in the statistics: steps that share this evaluation, 0 inside a subquery. */
  readonly sampleWeight: number;
}

export type { WindowForm };

export type ScalarNode = NodeBase &
  (
    | { readonly kind: 'number'; readonly value: number }
    | { readonly kind: 'time' }
    | { readonly kind: 'scalarOf'; readonly child: VectorNode }
    | {
        readonly kind: 'scalarBinary';
        readonly op: BinaryOperator | 'min_of' | 'max_of';
        readonly lhs: ScalarNode;
        readonly rhs: ScalarNode;
      }
    | { readonly kind: 'scalarNegate'; readonly child: ScalarNode }
    | { readonly kind: 'scalarPinned'; readonly child: ScalarNode }
  );

export type InstantSelectorNode = NodeBase & {
  readonly kind: 'instantSelector';
  readonly select: SelectSpec;
  readonly times: LeafTimes;
  readonly lookbackMs: number;
  /** `times` and `starts` read when samples, or what they count, began; in seconds. */
  readonly mode: 'values' | 'times' | 'starts' | 'smoothed';
  /** Whether of histograms only count and sum matter. */
  readonly isStatistics: boolean;
};

export type RangeCallNode = NodeBase & {
  readonly kind: 'rangeCall';
  readonly func: string;
  readonly select: SelectSpec;
  readonly times: LeafTimes;
  readonly rangeMs: number;
  readonly lookbackMs: number;
  readonly form: WindowForm;
  readonly args: readonly ScalarNode[];
  /** Whether of histograms only count and sum matter. */
  readonly isStatistics: boolean;
};

export type SubqueryCallNode = NodeBase & {
  readonly kind: 'subqueryCall';
  readonly func: string;
  /** Evaluated on its own grid. */
  readonly child: VectorNode;
  readonly times: LeafTimes;
  readonly rangeMs: number;
  readonly args: readonly ScalarNode[];
};

export type AggregateNode = NodeBase & {
  readonly kind: 'aggregate';
  readonly op: AggregateOperator;
  readonly child: VectorNode;
  readonly param: ScalarNode | null;
  /** Label of count_values. */
  readonly label: string;
  readonly grouping: readonly string[];
  readonly without: boolean;
  childPos: PositionRange;
  paramPos: PositionRange;
};

export type BinaryNode = NodeBase & {
  readonly kind: 'binary';
  readonly op: BinaryOperator;
  readonly lhs: VectorNode;
  readonly rhs: VectorNode;
  readonly matching: VectorMatching;
  readonly returnBool: boolean;
};

export type ScalarOpNode = NodeBase & {
  readonly kind: 'scalarOp';
  readonly op: BinaryOperator;
  readonly child: VectorNode;
  readonly scalar: ScalarNode;
  readonly scalarOnLeft: boolean;
  readonly returnBool: boolean;
};

export type LabelReplaceNode = NodeBase & {
  readonly kind: 'labelReplace';
  readonly child: VectorNode;
  readonly target: string;
  readonly replacement: string;
  readonly source: string;
  readonly regex: string;
};

export type LabelJoinNode = NodeBase & {
  readonly kind: 'labelJoin';
  readonly child: VectorNode;
  readonly target: string;
  readonly separator: string;
  readonly sources: readonly string[];
};

export type HistogramQuantileNode = NodeBase & {
  readonly kind: 'histogramQuantile';
  readonly child: VectorNode;
  readonly quantiles: readonly ScalarNode[];
  /** Label that carries the quantile (histogram_quantiles), or ''. */
  readonly label: string;
  childPos: PositionRange;
  quantilePos: readonly PositionRange[];
};

export type HistogramFractionNode = NodeBase & {
  readonly kind: 'histogramFraction';
  readonly child: VectorNode;
  readonly lower: ScalarNode;
  readonly upper: ScalarNode;
  childPos: PositionRange;
};

export type InfoNode = NodeBase & {
  readonly kind: 'info';
  readonly child: VectorNode;
  readonly matchers: readonly Matcher[];
  /** The select of all candidate info series, narrowed by name only: the values of v are not known yet. */
  readonly infoSelect: SelectSpec;
  readonly times: LeafTimes;
  readonly lookbackMs: number;
};

export type VectorNode =
  | InstantSelectorNode
  | RangeCallNode
  | SubqueryCallNode
  | AggregateNode
  | BinaryNode
  | ScalarOpNode
  | LabelReplaceNode
  | LabelJoinNode
  | HistogramQuantileNode
  | HistogramFractionNode
  | InfoNode
  | (NodeBase &
      (
        | { readonly kind: 'empty' }
        | { readonly kind: 'pinned'; readonly child: VectorNode }
        | { readonly kind: 'fromScalar'; readonly scalar: ScalarNode }
        | {
            readonly kind: 'element';
            readonly func: string;
            readonly child: VectorNode;
            readonly args: readonly ScalarNode[];
          }
        | { readonly kind: 'date'; readonly func: string }
        | { readonly kind: 'negate'; readonly child: VectorNode }
        /** Two results of the same selector, value by value. */
        | { readonly kind: 'quotient'; readonly lhs: VectorNode; readonly rhs: VectorNode }
        | {
            readonly kind: 'setOperation';
            readonly op: 'and' | 'or' | 'unless';
            readonly lhs: VectorNode;
            readonly rhs: VectorNode;
            readonly matching: VectorMatching;
          }
        | {
            readonly kind: 'absent';
            readonly child: VectorNode;
            readonly labels: readonly (readonly [string, string])[];
          }
        | {
            readonly kind: 'sort';
            readonly child: VectorNode;
            readonly descending: boolean;
            /** Labels to sort by, or null to sort by value. */
            readonly labels: readonly string[] | null;
          }
      ));

/** A matrix as the top value of an instant query: the samples of a selector, or the points of a subquery. */
export type MatrixRoot =
  | {
      readonly kind: 'samples';
      readonly select: SelectSpec;
      readonly times: LeafTimes;
      readonly rangeMs: number;
      readonly lookbackMs: number;
      readonly form: WindowForm;
    }
  | { readonly kind: 'points'; readonly child: VectorNode };

export type PlanRoot =
  | { readonly type: 'scalar'; readonly node: ScalarNode }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'vector'; readonly node: VectorNode }
  | { readonly type: 'matrix'; readonly matrix: MatrixRoot };

export interface QueryPlan {
  readonly root: PlanRoot;
  readonly selects: readonly SelectSpec[];
  readonly grid: Grid;
}
