import type { QueryExports } from '../../kernel/index.js';
import type { SharedJob, UnitResult } from './parallel-layout.js';

/** Addresses of the work areas of one kernel instance, beside its columns. */
export interface WorkAreas {
  readonly work: number;
  readonly windows: number;
}

/** Rows of a unit, and where they lie in the ring. */
export interface UnitPlace {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  readonly present: number;
}

export function placeOf(job: SharedJob, unit: number): UnitPlace {
  const [blockRows, unitRows] = [job.field('blockRows'), job.field('unitRows')];
  const [blockUnits, ringUnits, steps] = [
    job.field('blockUnits'),
    job.field('ringUnits'),
    job.field('steps'),
  ];
  const block = Math.floor(unit / blockUnits);
  const within = (unit % blockUnits) * unitRows;
  const from = block * blockRows + within;
  const to = Math.min(job.field('series'), from + unitRows, (block + 1) * blockRows);
  const slot = ((block % (ringUnits / blockUnits)) * blockRows + within) * steps;
  return { from, to, rows: job.field('ringRows') + slot * 8, present: job.field('ringPresent') + slot };
}

/**
 * Computes a unit of a job; a corrupt chunk ends it and is a result too. The kernel's columns are set already.
 * @param goesOn asked between kernel calls, which take a few milliseconds at most
 * @returns null when it was told not to go on: the unit is incomplete
 */
export function computeUnit(
  functions: QueryExports,
  job: SharedJob,
  { from: first, to: end, rows, present }: UnitPlace,
  { work, windows }: WorkAreas,
  goesOn: () => boolean,
): UnitResult | null {
  const [steps, callRows, callSteps] = [job.field('steps'), job.field('callRows'), job.field('callSteps')];
  functions.queryChunkTable(
    job.field('chunkAddresses'),
    job.field('chunkLengths'),
    job.field('chunkMinTimes'),
    job.field('chunkMaxTimes'),
  );
  let [found, visited, code] = [0, 0, 0];
  for (let i = first; i < end && code >= 0; i += callRows) {
    for (let k = 0; k < steps && code >= 0; k += callSteps) {
      if ((i > first || k > 0) && !goesOn()) return null;
      const at = (i - first) * steps + k;
      setSteps(functions, job, k, Math.min(callSteps, steps - k), work, windows);
      code = call(functions, job, i, Math.min(end, i + callRows), rows + at * 8, present + at);
      if (code > 0) found += code;
      visited += functions.queryWindowSamples();
    }
  }
  return { found, visited, code: Math.min(0, code) };
}

/** Tells the kernel about `count` steps from `step` on, and the arguments there. */
function setSteps(
  functions: QueryExports,
  job: SharedJob,
  step: number,
  count: number,
  work: number,
  windows: number,
): void {
  const referenceStep = job.field('referenceStep');
  functions.querySteps(windows, job.field('reference') + step * referenceStep, referenceStep, count);
  functions.queryArguments(
    job.field('argument1') + step * 8,
    job.field('argument2') + step * 8,
    work,
    job.field('start') + step * job.field('step'),
    job.field('step'),
    job.field('lookback'),
  );
}

function call(
  functions: QueryExports,
  job: SharedJob,
  from: number,
  to: number,
  rows: number,
  present: number,
): number {
  const chunkOffsets = job.field('chunkOffsets');
  const [minTime, maxTime, fn] = [job.field('minTime'), job.field('maxTime'), job.field('fn')];
  if (job.field('isRange') === 0) {
    const lookback = job.field('lookback');
    return functions.queryInstantBlock(chunkOffsets, from, to, minTime, maxTime, lookback, fn, rows, present);
  }
  return functions.queryRangeBlock(
    fn,
    job.field('form'),
    chunkOffsets,
    from,
    to,
    minTime,
    maxTime,
    job.field('range'),
    rows,
    present,
  );
}
