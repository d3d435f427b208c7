import { exponentialBound } from './bounds.js';
import { commonBounds, placesAmong } from './custom-bounds.js';
import { type FloatHistogram, RESET_HINT, VALUE } from './float-histogram.js';
import { equalBounds } from './layout.js';
import { reduceResolution } from './transform.js';
import { widerZero } from './zero-bucket.js';

/** Whether a counter was reset between two samples of it (spec: promql-histograms.md §3). Sums don't count: they may fall. */
export function isCounterReset(current: FloatHistogram, previous: FloatHistogram): boolean {
  if (current.hint === RESET_HINT.reset) return true;
  if (current.hint === RESET_HINT.notReset) return false;
  if (current.count < previous.count) return true;
  const { layout } = current;
  if (layout.isCustom) {
    if (!previous.layout.isCustom) return true;
    if (!equalBounds(layout.customBounds, previous.layout.customBounds))
      return isDroppedInCommon(current, previous);
  }
  if (layout.schema > previous.layout.schema) return true;
  if (layout.zeroThreshold < previous.layout.zeroThreshold) return true;
  if (!layout.isCustom) {
    const wider = widerZero(previous, layout.zeroThreshold);
    if (wider.zeroThreshold !== layout.zeroThreshold) return true;
    if (current.zeroCount < wider.zeroCount) return true;
  } else if (current.zeroCount < previous.zeroCount) return true;
  const coarse = layout.isCustom ? previous : reduceResolution(previous, layout.schema);
  return (
    isSideDropped(
      current,
      layout.positiveIndexes,
      VALUE.buckets,
      coarse,
      coarse.layout.positiveIndexes,
      VALUE.buckets,
    ) ||
    isSideDropped(
      current,
      layout.negativeIndexes,
      VALUE.buckets + layout.positiveCount,
      coarse,
      coarse.layout.negativeIndexes,
      VALUE.buckets + coarse.layout.positiveCount,
    )
  );
}

/** Whether a bucket of the previous histogram went down or vanished, outside of the current zero bucket. */
function isSideDropped(
  current: FloatHistogram,
  indexes: Int32Array,
  at: number,
  previous: FloatHistogram,
  previousIndexes: Int32Array,
  previousAt: number,
): boolean {
  const { schema, zeroThreshold, isCustom } = current.layout;
  let j = 0;
  for (let i = 0; i < previousIndexes.length; i++) {
    const index = previousIndexes[i]!;
    if (!isCustom && exponentialBound(index, schema) <= zeroThreshold) continue;
    while (j < indexes.length && indexes[j]! < index) j++;
    const count = previous.values[previousAt + i]!;
    if (j < indexes.length && indexes[j] === index) {
      if (current.values[at + j]! < count) return true;
    } else if (count !== 0) return true;
  }
  return false;
}

/** Compares what lies between the bounds that both histograms have. */
function isDroppedInCommon(current: FloatHistogram, previous: FloatHistogram): boolean {
  const common = commonBounds(current.layout.customBounds, previous.layout.customBounds);
  const now = rollUp(current, common);
  const before = rollUp(previous, common);
  for (let i = 0; i < now.length; i++) if (now[i]! < before[i]!) return true;
  return false;
}

function rollUp(histogram: FloatHistogram, common: Float64Array): Float64Array {
  const counts = new Float64Array(common.length + 1);
  const places = placesAmong(histogram.layout, common);
  for (let i = 0; i < places.length; i++) counts[places[i]!]! += histogram.values[VALUE.buckets + i]!;
  return counts;
}
