/** Natural order of label values: runs of digits compare as numbers, everything else by bytes. */
import { compareUtf8 } from '../../labels/index.js';

const INT64_MAX = 9223372036854775807n;

function runs(text: string): string[] {
  return text.match(/[0-9]+|[^0-9]+/g) ?? [];
}

function asInteger(run: string): bigint | null {
  if (!/^[0-9]+$/.test(run)) return null;
  const value = BigInt(run);
  return value > INT64_MAX ? null : value;
}

/** Whether a sorts before b. Not a strict order for strings such as `x0` and `x00`: upstream's is not either. */
export function naturalLess(a: string, b: string): boolean {
  const left = runs(a);
  const right = runs(b);
  for (let i = 0; i < left.length; i++) {
    if (i >= right.length) return false;
    const x = left[i]!;
    const y = right[i]!;
    const m = asInteger(x);
    const n = asInteger(y);
    const areNumbers = m !== null && n !== null;
    if (areNumbers ? m === n : x === y) {
      if (i === left.length - 1) return true;
      if (i === right.length - 1) return false;
      continue;
    }
    return areNumbers ? m < n : compareUtf8(x, y) < 0;
  }
  return false;
}
