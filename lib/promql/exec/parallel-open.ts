import { INSTANT_MODE, RANGE_FUNCTION, WINDOW_FORM } from '../../kernel/index.js';
import type { InstantSelectorNode, RangeCallNode } from '../plan/index.js';
import type { QueryContext } from './context.js';
import { checkCode, type LoadedSet } from './loaded-set.js';
import { ParallelLeaf } from './parallel-leaf.js';

/** How much one kernel call does. */
interface CallSize {
  readonly rows: number;
  readonly steps: number;
}

/**
 * Lets other threads help with the rows of an instant selector; null when it is better done alone, or not all samples
 * are plain floats.
 * @param samples of the longest series
 */
export function shareInstantSelector(
  context: QueryContext,
  node: InstantSelectorNode,
  loaded: LoadedSet,
  samples: number,
  callRows: number,
): ParallelLeaf | null {
  const { mode, lookbackMs, times, grid } = node;
  if (loaded.beside !== null || mode === 'starts') return null;
  const work = {
    ...{ isRange: false, fn: INSTANT_MODE[mode], form: 0, range: 0, lookback: lookbackMs },
    ...{ reference: times.referenceMs, referenceStep: times.referenceStepMs, start: 0, step: 0 },
    ...{ args: [], steps: grid.count, samples, callRows, callSteps: grid.count },
  };
  return ParallelLeaf.open(context, loaded, work, ({ code, found }) => {
    checkCode(code);
    context.countSamples(found, times);
    context.hold(found);
  });
}

/** The same for a range function. @param args addresses of its arguments, one value per step */
export function shareRangeCall(
  context: QueryContext,
  node: RangeCallNode,
  loaded: LoadedSet,
  samples: number,
  args: readonly number[],
  call: CallSize,
): ParallelLeaf | null {
  if (loaded.beside !== null) return null;
  const { times, grid } = node;
  const fn = RANGE_FUNCTION[node.func as keyof typeof RANGE_FUNCTION];
  const work = {
    ...{ isRange: true, fn, form: WINDOW_FORM[node.form], range: node.rangeMs, lookback: node.lookbackMs },
    ...{ reference: times.referenceMs, referenceStep: times.referenceStepMs },
    ...{ start: grid.startMs, step: grid.stepMs, args, steps: grid.count, samples },
    ...{ callRows: call.rows, callSteps: call.steps },
  };
  return ParallelLeaf.open(context, loaded, work, ({ code, found, visited }) => {
    checkCode(code);
    context.countSamples(visited, times);
    context.hold(found);
  });
}
