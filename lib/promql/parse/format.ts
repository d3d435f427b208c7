import { compareUtf8, METRIC_NAME } from '../../labels/index.js';
import type { Matcher } from '../../matcher/index.js';
import type {
  Aggregate,
  BinaryExpr,
  DurationExpr,
  Expr,
  MatrixSelector,
  Subquery,
  TimeShift,
  VectorSelector,
} from './ast.js';
import { formatDurationMs, formatPlain, formatShortest } from './numbers.js';
import { goQuote } from './quote.js';

const PLAIN_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Prints an expression on one line, as Prometheus' `String()`: parses back to the same tree. */
export function formatExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'number':
      return formatNumber(expr.value, expr.isDuration);
    case 'string':
      return goQuote(expr.value);
    case 'vectorSelector':
      return formatSelector(expr) + formatAt(expr) + formatExtended(expr) + formatOffset(expr);
    case 'matrixSelector':
      return formatMatrix(expr);
    case 'subquery':
      return formatExpr(expr.expr) + formatSubquerySuffix(expr);
    case 'paren':
      return `(${formatExpr(expr.expr)})`;
    case 'unary':
      return expr.op + formatExpr(expr.expr);
    case 'call':
      return `${expr.func}(${expr.args.map(formatExpr).join(', ')})`;
    case 'aggregate': {
      const param = expr.param === null ? '' : `${formatExpr(expr.param)}, `;
      return `${formatAggregateHead(expr)}(${param}${formatExpr(expr.expr)})`;
    }
    case 'binary':
      return `${formatExpr(expr.lhs)} ${formatOperator(expr)} ${formatExpr(expr.rhs)}`;
  }
}

/** The operator with `bool`, matching and fill modifiers, without spaces around. */
export function formatOperator(expr: BinaryExpr): string {
  const { matching } = expr;
  let out: string = expr.op;
  if (expr.returnBool) out += ' bool';
  if (matching === null) return out;
  const isGrouped = matching.cardinality === 'many-to-one' || matching.cardinality === 'one-to-many';
  if (matching.labels.length > 0 || matching.on || isGrouped)
    out += ` ${matching.on ? 'on' : 'ignoring'} (${formatLabels(matching.labels)})`;
  if (isGrouped) {
    const side = matching.cardinality === 'many-to-one' ? 'group_left' : 'group_right';
    out += ` ${side} (${formatLabels(matching.include)})`;
  }
  const { fillLeft, fillRight } = matching;
  if (fillLeft !== null && Object.is(fillLeft, fillRight)) return `${out} fill (${formatShortest(fillLeft)})`;
  if (fillLeft !== null) out += ` fill_left (${formatShortest(fillLeft)})`;
  if (fillRight !== null) out += ` fill_right (${formatShortest(fillRight)})`;
  return out;
}

/** `sum`, `sum by (a) ` or `sum without (a) `: what stands before the opening parenthesis. */
export function formatAggregateHead(expr: Aggregate): string {
  if (expr.without) return `${expr.op} without (${formatLabels(expr.grouping)}) `;
  return expr.grouping.length > 0 ? `${expr.op} by (${formatLabels(expr.grouping)}) ` : expr.op;
}

/** `[5m:1m] @ 10.000 offset 1m`: what stands after the expression of a subquery. */
export function formatSubquerySuffix(expr: Subquery): string {
  const step = expr.stepMs === 0 && expr.stepExpr === null ? '' : formatTime(expr.stepMs, expr.stepExpr);
  return `[${formatTime(expr.rangeMs, expr.rangeExpr)}:${step}]${formatAt(expr)}${formatOffset(expr)}`;
}

/** Prints an expression in duration position. */
export function formatDurationExpr(expr: DurationExpr): string {
  switch (expr.kind) {
    case 'number':
      return formatNumber(expr.value, expr.isDuration);
    case 'step':
    case 'range':
      return `${expr.kind}()`;
    case 'unary': {
      const text = (expr.op === '-' ? '-' : '') + formatDurationExpr(expr.expr);
      return expr.wrapped ? `(${text})` : text;
    }
    case 'binary': {
      const lhs = formatDurationExpr(expr.lhs);
      const rhs = formatDurationExpr(expr.rhs);
      const isCall = expr.op === 'min_of' || expr.op === 'max_of';
      const text = isCall ? `${expr.op}(${lhs}, ${rhs})` : `${lhs} ${expr.op} ${rhs}`;
      return expr.wrapped ? `(${text})` : text;
    }
  }
}

function formatNumber(value: number, isDuration: boolean): string {
  return isDuration ? formatDurationMs(Math.round(value * 1000)) : formatPlain(value);
}

function formatMatrix(expr: MatrixSelector): string {
  const { selector } = expr;
  const range = formatTime(expr.rangeMs, expr.rangeExpr);
  const suffix = formatExtended(selector) + formatAt(selector) + formatOffset(selector);
  return `${formatSelector(selector)}[${range}]${suffix}`;
}

function formatTime(timeMs: number, expr: DurationExpr | null): string {
  return expr === null ? formatDurationMs(timeMs) : formatDurationExpr(expr);
}

function formatSelector(expr: VectorSelector): string {
  const matchers = expr.matchers
    .filter((matcher) => !isNameMatcher(matcher, expr.name))
    .map(formatMatcher)
    .sort(compareUtf8);
  return matchers.length === 0 && expr.name !== '' ? expr.name : `${expr.name}{${matchers.join(',')}}`;
}

/** Whether the matcher says no more than the name outside the braces. */
function isNameMatcher(matcher: Matcher, name: string): boolean {
  return name !== '' && matcher.name === METRIC_NAME && matcher.type === '=' && matcher.value === name;
}

function formatMatcher(matcher: Matcher): string {
  return formatLabel(matcher.name) + matcher.type + goQuote(matcher.value);
}

function formatLabel(name: string): string {
  return PLAIN_LABEL.test(name) ? name : goQuote(name);
}

function formatLabels(names: readonly string[]): string {
  return names.map(formatLabel).join(', ');
}

function formatAt(shift: TimeShift): string {
  if (shift.atBound !== null) return ` @ ${shift.atBound}()`;
  return shift.atMs === null ? '' : ` @ ${(shift.atMs / 1000).toFixed(3)}`;
}

function formatExtended(selector: VectorSelector): string {
  if (selector.anchored) return ' anchored';
  return selector.smoothed ? ' smoothed' : '';
}

function formatOffset(shift: TimeShift): string {
  if (shift.offsetExpr !== null) return ` offset ${formatDurationExpr(shift.offsetExpr)}`;
  return shift.offsetMs === 0 ? '' : ` offset ${formatDurationMs(shift.offsetMs)}`;
}
