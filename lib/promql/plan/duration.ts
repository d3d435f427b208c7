import { VarveError } from '../../errors/index.js';
import { goPow } from '../func/index.js';
import type { DurationExpr, PositionRange } from '../parse/index.js';

/** What `step()` and `range()` stand for in a duration expression, in seconds. */
export interface DurationSettings {
  readonly stepSeconds: number;
  readonly rangeSeconds: number;
}

/** An invalid duration expression. Positions are byte offsets here, not line and column (spec/promql-errors §4). */
function invalid(pos: PositionRange, text: string): VarveError {
  return new VarveError('client', 'promql-parse', `${pos.start}:${pos.end}: ${text}`);
}

function seconds(expr: DurationExpr, settings: DurationSettings): number {
  switch (expr.kind) {
    case 'number':
      return expr.value;
    case 'step':
      return settings.stepSeconds;
    case 'range':
      return settings.rangeSeconds;
    case 'unary': {
      const value = seconds(expr.expr, settings);
      return expr.op === '-' ? -value : value;
    }
    case 'binary':
      return binary(expr, settings);
  }
}

function binary(expr: Extract<DurationExpr, { kind: 'binary' }>, settings: DurationSettings): number {
  const lhs = seconds(expr.lhs, settings);
  const rhs = seconds(expr.rhs, settings);
  switch (expr.op) {
    case '+':
      return lhs + rhs;
    case '-':
      return lhs - rhs;
    case '*':
      return lhs * rhs;
    case '/':
      if (rhs === 0) throw invalid(expr.pos, 'division by zero');
      return lhs / rhs;
    case '%':
      if (rhs === 0) throw invalid(expr.pos, 'modulo by zero');
      return lhs % rhs;
    case '^':
      return goPow(lhs, rhs);
    case 'min_of':
      return Math.min(lhs, rhs);
    case 'max_of':
      return Math.max(lhs, rhs);
  }
}

// int64 nanoseconds in seconds.
const SECONDS_MAX = 2 ** 63 / 1e9;

/**
 * Evaluates a duration expression to whole milliseconds, truncated toward zero.
 * @throws VarveError client `promql-parse` for zero divisors, non-finite or out-of-range results, and for results that
 *         are not positive unless `allowNegative`
 */
export function evaluateDurationMs(
  expr: DurationExpr,
  settings: DurationSettings,
  allowNegative: boolean,
): number {
  const value = seconds(expr, settings);
  if (!Number.isFinite(value)) throw invalid(expr.pos, 'duration is NaN or infinite');
  if (value <= 0 && !allowNegative) throw invalid(expr.pos, 'duration must be greater than 0');
  if (Math.abs(value) > SECONDS_MAX) throw invalid(expr.pos, 'duration is out of range');
  // Adding 0 turns -0 into 0.
  return Math.trunc(value * 1000) + 0;
}
