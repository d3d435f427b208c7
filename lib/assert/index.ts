/** Throws when an invariant of ours does not hold: a bug, never a fault of the world (that is a VarveError). */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Marks code that the types say cannot be reached. */
export function assertNever(value: never): never {
  throw new Error(`assertion failed: unexpected value ${String(value)}`);
}
