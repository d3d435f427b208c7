/** PromQL as a tree of text pieces: enough to print a query and to take it apart again. */

export type ExpressionType = 'scalar' | 'vector' | 'matrix' | 'string';

/** Text that can be left out without changing the types. */
export interface Optional {
  readonly optional: readonly (string | Expression)[];
}

export type Part = string | Expression | Optional;

export interface Expression {
  readonly type: ExpressionType;
  readonly parts: readonly Part[];
  /** Labels, without the name, that tell the series of this vector apart; null when unknown. */
  readonly labels: readonly string[] | null;
  /** Binds weaker than a function call, so that operands of this kind stand in parentheses. */
  readonly isOperator: boolean;
}

export function expression(
  type: ExpressionType,
  parts: readonly Part[],
  labels: readonly string[] | null = null,
  isOperator = false,
): Expression {
  return { type, parts, labels, isOperator };
}

/** The query's text. */
export function textOf(root: Expression): string {
  return root.parts.map(textOfPart).join('');
}

function textOfPart(part: Part): string {
  if (typeof part === 'string') return part;
  return 'optional' in part ? part.optional.map(textOfPart).join('') : textOf(part);
}

/** How many expressions a query holds: the measure that shrinking lowers. */
export function sizeOf(root: Expression): number {
  return 1 + childrenOf(root).reduce((sum, child) => sum + sizeOf(child), 0);
}

function childrenOf(root: Expression): Expression[] {
  return root.parts.flatMap((part) => {
    if (typeof part === 'string') return [];
    return 'optional' in part ? part.optional.filter((item) => typeof item !== 'string') : [part];
  });
}

function descendantsOf(root: Expression): Expression[] {
  return childrenOf(root).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** Simpler queries made of the same pieces: parts alone, then the whole with one part simplified. */
export function* simplerThan(root: Expression, allowMatrix: boolean): Generator<Expression> {
  const alone = descendantsOf(root).filter(
    ({ type }) => type === 'vector' || type === 'scalar' || (type === 'matrix' && allowMatrix),
  );
  yield* alone.sort((a, b) => sizeOf(a) - sizeOf(b));
  yield* simplifiedInside(root);
}

function* simplifiedInside(root: Expression): Generator<Expression> {
  for (const [i, part] of root.parts.entries()) {
    if (typeof part === 'string') continue;
    const withPart = (replacement: readonly Part[]): Expression => ({
      ...root,
      parts: [...root.parts.slice(0, i), ...replacement, ...root.parts.slice(i + 1)],
    });
    if ('optional' in part) {
      yield withPart([]);
      for (const [k, item] of part.optional.entries()) {
        if (typeof item === 'string') continue;
        for (const simpler of simplerOfType(item)) {
          const optional = [...part.optional.slice(0, k), simpler, ...part.optional.slice(k + 1)];
          yield withPart([{ optional }]);
        }
      }
      continue;
    }
    for (const simpler of simplerOfType(part)) yield withPart([simpler]);
  }
}

function* simplerOfType(root: Expression): Generator<Expression> {
  for (const inner of descendantsOf(root)) {
    if (inner.type === root.type) yield inner.isOperator ? parenthesized(inner) : inner;
  }
  yield* simplifiedInside(root);
}

/** The expression in parentheses. */
export function parenthesized(inner: Expression): Expression {
  return expression(inner.type, ['(', inner, ')'], inner.labels);
}

/** An operand that binds tightly. */
export function operand(inner: Expression): Expression {
  return inner.isOperator ? parenthesized(inner) : inner;
}
