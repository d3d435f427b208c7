import { goMax, goMin, goPow } from './go-math.js';
import { goAtan2 } from './go-trig.js';

/** Arithmetic of two floats. `op` is one of `+ - * / % ^ atan2 min_of max_of`. */
export function scalarArithmetic(op: string, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
    case '^':
      return goPow(a, b);
    case 'atan2':
      return goAtan2(a, b);
    case 'min_of':
      return goMin(a, b);
    case 'max_of':
      return goMax(a, b);
    default:
      throw new Error(`assertion failed: no arithmetic operator ${op}`);
  }
}

/** Comparison of two floats; NaN is only unequal. `op` is one of `== != < <= > >=`. */
export function compareScalars(op: string, a: number, b: number): boolean {
  switch (op) {
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    default:
      throw new Error(`assertion failed: no comparison operator ${op}`);
  }
}
