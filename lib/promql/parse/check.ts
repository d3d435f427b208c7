import type { VarveError } from '../../errors/index.js';
import { METRIC_NAME } from '../../labels/index.js';
import type {
  Aggregate,
  BinaryExpr,
  BinaryOperator,
  Call,
  Expr,
  FunctionSignature,
  ValueType,
  VectorMatching,
  VectorSelector,
} from './ast.js';
import { FUNCTIONS } from './functions.js';
import { parseError } from './parse-error.js';
import { goQuote } from './quote.js';
import { typeWords, valueTypeOf } from './types.js';

const COMPARISONS: ReadonlySet<BinaryOperator> = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** Whether the operator compares, so that it may carry `bool`. */
export function isComparison(op: BinaryOperator): boolean {
  return COMPARISONS.has(op);
}

/** Whether the operator is `and`, `or` or `unless`. */
export function isSetOperator(op: BinaryOperator): boolean {
  return op === 'and' || op === 'or' || op === 'unless';
}

/** The parser leaves a matching on every binary node; the check settles which keep one. */
interface UncheckedBinary {
  matching: VectorMatching | null;
}

/**
 * Checks types bottom-up, in Prometheus' order, and settles the vector matching of binary nodes: set operators become
 * many-to-many, and matching disappears unless both sides are vectors.
 * @throws VarveError `client`/`promql-parse` for the first violation
 */
export function checkExpr(query: string, expr: Expr): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar';
    case 'string':
      return 'string';
    case 'vectorSelector':
      checkSelector(query, expr, false);
      return 'vector';
    case 'matrixSelector':
      checkSelector(query, expr.selector, false);
      return 'matrix';
    case 'subquery': {
      const type = checkExpr(query, expr.expr);
      if (type !== 'vector')
        throw fail(query, expr, `subquery is only allowed on instant vector, got ${type} instead`);
      return 'matrix';
    }
    case 'paren':
      return checkExpr(query, expr.expr);
    case 'unary': {
      const type = checkExpr(query, expr.expr);
      if (type !== 'scalar' && type !== 'vector')
        throw fail(
          query,
          expr,
          `unary expression only allowed on expressions of type scalar or instant vector, got "${typeWords(type)}"`,
        );
      return type;
    }
    case 'call':
      return checkCall(query, expr);
    case 'aggregate':
      checkAggregate(query, expr);
      return 'vector';
    case 'binary':
      return checkBinary(query, expr);
  }
}

function fail(query: string, expr: Expr, text: string): VarveError {
  return parseError(query, expr.pos.start, text);
}

function expectType(query: string, expr: Expr, want: ValueType, context: string): void {
  const got = checkExpr(query, expr);
  if (got !== want)
    throw fail(query, expr, `expected type ${typeWords(want)} in ${context}, got ${typeWords(got)}`);
}

function checkAggregate(query: string, expr: Aggregate): void {
  expectType(query, expr.expr, 'vector', 'aggregation expression');
  if (expr.param === null) return;
  const want = expr.op === 'count_values' ? 'string' : 'scalar';
  expectType(query, expr.param, want, 'aggregation parameter');
}

function checkSelector(query: string, expr: VectorSelector, mayMatchAll: boolean): void {
  const { matchers, name } = expr;
  if (name !== '') {
    for (let i = 0; i < matchers.length - 1; i++) {
      const matcher = matchers[i]!;
      if (matcher.name === METRIC_NAME)
        throw fail(
          query,
          expr,
          `metric name must not be set twice: ${goQuote(name)} or ${goQuote(matcher.value)}`,
        );
    }
    return;
  }
  if (!mayMatchAll && matchers.every((matcher) => matcher.matchesEmpty))
    throw fail(query, expr, 'vector selector must contain at least one non-empty matcher');
}

function checkCall(query: string, expr: Call): ValueType {
  const signature = FUNCTIONS.get(expr.func)!;
  checkArgumentCount(query, expr, signature);
  if (expr.func === 'info' && expr.args.length > 1) checkInfoSelector(query, expr);
  const last = signature.argTypes.length - 1;
  expr.args.forEach((arg, i) => {
    const want = signature.argTypes[Math.min(i, last)]!;
    // The label selector of info may select everything: it is not evaluated by itself.
    if (expr.func === 'info' && i === 1 && arg.kind === 'vectorSelector') checkSelector(query, arg, true);
    else expectType(query, arg, want, `call to function "${expr.func}"`);
  });
  return signature.returnType;
}

function checkArgumentCount(query: string, expr: Call, signature: FunctionSignature): void {
  const count = expr.args.length;
  const declared = signature.argTypes.length;
  const { variadic } = signature;
  const required = variadic === 0 ? declared : declared - 1;
  let bound = '';
  let expected = required;
  if (variadic === 0) {
    if (count === declared) return;
  } else if (count < required) bound = 'at least ';
  else if (variadic > 0 && count > required + variadic) {
    bound = 'at most ';
    expected = required + variadic;
  } else return;
  throw fail(query, expr, `expected ${bound}${expected} argument(s) in call to "${expr.func}", got ${count}`);
}

function checkInfoSelector(query: string, expr: Call): void {
  const selector = expr.args[1]!;
  if (selector.kind === 'vectorSelector') {
    if (selector.name !== '')
      throw fail(query, selector, 'expected label selectors only, got vector selector instead');
    return;
  }
  const type = valueTypeOf(selector);
  if (type !== 'vector')
    throw fail(
      query,
      expr,
      `expected type instant vector in call to function "info", got ${typeWords(type)}`,
    );
  throw fail(query, selector, 'expected label selectors only');
}

function checkBinary(query: string, expr: BinaryExpr): ValueType {
  const lt = checkExpr(query, expr.lhs);
  const rt = checkExpr(query, expr.rhs);
  const { op } = expr;
  const matching = expr.matching!;
  const isSet = isSetOperator(op);
  if (expr.returnBool && !isComparison(op))
    throw failAtOperator(query, expr, 'bool modifier can only be used on comparison operators');
  if (isComparison(op) && !expr.returnBool && lt === 'scalar' && rt === 'scalar')
    throw failAtOperator(query, expr, 'comparisons between scalars must use BOOL modifier');
  if (matching.on)
    for (const label of matching.labels)
      if (matching.include.includes(label))
        throw failAtOperator(
          query,
          expr,
          `label ${goQuote(label)} must not occur in ON and GROUP clause at once`,
        );
  for (const [operand, type] of [
    [expr.lhs, lt],
    [expr.rhs, rt],
  ] as const)
    if (type !== 'scalar' && type !== 'vector')
      throw fail(query, operand, 'binary expression must contain only scalar and instant vector types');

  const unchecked: UncheckedBinary = expr;
  const hasFill = matching.fillLeft !== null || matching.fillRight !== null;
  if (lt === 'vector' && rt === 'vector') {
    if (!isSet) return 'vector';
    if (matching.cardinality !== 'one-to-one')
      throw fail(query, expr, `no grouping allowed for "${op}" operation`);
    if (hasFill) throw fail(query, expr, 'filling in missing series not allowed for set operators');
    unchecked.matching = { ...matching, cardinality: 'many-to-many' };
    return 'vector';
  }
  if (matching.labels.length > 0)
    throw fail(query, expr, 'vector matching only allowed between instant vectors');
  if (hasFill) throw fail(query, expr, 'filling in missing series only allowed between instant vectors');
  if (isSet) throw fail(query, expr, `set operator "${op}" not allowed in binary scalar expression`);
  unchecked.matching = null;
  return lt === 'scalar' && rt === 'scalar' ? 'scalar' : 'vector';
}

/** The operator is the first thing after the left operand that is no space. */
function failAtOperator(query: string, expr: BinaryExpr, text: string): VarveError {
  const bytes = Buffer.from(query);
  let offset = expr.lhs.pos.end;
  while (offset < bytes.length && ' \t\n\r'.includes(String.fromCharCode(bytes[offset]!))) offset++;
  return parseError(query, offset, text);
}
