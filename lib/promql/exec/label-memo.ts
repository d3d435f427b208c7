/**
 * What was worked out of a fixed array of label sets: group numbers, sets without some labels, their order. A source that
 * answers with the same arrays again gives the same memo again, so dashboards and rules, which repeat their selectors,
 * pay for this work once. A memo is only good for ids that mean the same in each query: those of the source itself.
 */
export type LabelMemo = Map<string, unknown>;

/** More than a dashboard asks of one selector; when reached, all is forgotten and those still in use come back. */
const ENTRIES_MAX = 16;
/** Ids from here on mean another string in each query (symbol-space.ts). */
const QUERY_IDS = 0x8000_0000;

/** The value kept under a key, computed when it is not there yet or there is no memo. */
export function remembered<T>(memo: LabelMemo | undefined, key: string, compute: () => T): T {
  if (memo === undefined) return compute();
  // Keys name the computation, so what lies under one is of its type.
  const known = memo.get(key);
  if (known !== undefined) return known as T;
  const value = compute();
  if (memo.size >= ENTRIES_MAX) memo.clear();
  memo.set(key, value);
  return value;
}

/** A memo's key for a computation over label names, or null when the names are known to this query only. */
export function namesKey(prefix: string, names: readonly number[]): string | null {
  return names.some((id) => id >= QUERY_IDS) ? null : `${prefix} ${names.join(' ')}`;
}
