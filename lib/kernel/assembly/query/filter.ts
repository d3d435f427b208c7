// Comparisons of a block with a scalar per step, as filters.

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const LESS: u32 = 2;
const LESS_EQUAL: u32 = 3;
const GREATER: u32 = 4;

// @ts-ignore: decorator
@inline
function holds(operator: u32, a: f64, b: f64): bool {
  switch (operator) {
    case EQUAL: return a == b;
    case NOT_EQUAL: return a != b;
    case LESS: return a < b;
    case LESS_EQUAL: return a <= b;
    case GREATER: return a > b;
    default: return a >= b;
  }
}

// @ts-ignore: decorator
@inline
function filterRow(operator: u32, steps: usize, row: usize, present: usize, scalars: usize): void {
  for (let k: usize = 0; k < steps; k++) {
    const isKept = holds(operator, load<f64>(row + (k << 3)), load<f64>(scalars + (k << 3)));
    store<u8>(present + k, load<u8>(present + k) & <u8>isKept);
  }
}

/** Takes away the presence (0 or 1) of values for which the comparison with the scalar of their step does not hold. */
export function queryFilter(operator: u32, series: u32, steps: u32, rows: usize, present: usize, scalars: usize): void {
  for (let i: u32 = 0; i < series; i++) {
    switch (operator) {
      case EQUAL: filterRow(EQUAL, steps, rows, present, scalars); break;
      case NOT_EQUAL: filterRow(NOT_EQUAL, steps, rows, present, scalars); break;
      case LESS: filterRow(LESS, steps, rows, present, scalars); break;
      case LESS_EQUAL: filterRow(LESS_EQUAL, steps, rows, present, scalars); break;
      case GREATER: filterRow(GREATER, steps, rows, present, scalars); break;
      default: filterRow(5, steps, rows, present, scalars); break;
    }
    rows += (<usize>steps) << 3;
    present += steps;
  }
}
