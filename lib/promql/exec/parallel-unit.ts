import type { QueryExports } from '../../kernel/index.js';
import type { SharedJob } from './parallel-layout.js';

/** Addresses of the work areas of one kernel instance, beside its columns. */
export interface WorkAreas {
  readonly work: number;
  readonly windows: number;
}

/**
 * Computes a unit of a job into the ring and notes its results; a corrupt chunk ends it and is a result too. The
 * kernel's columns are set already.
 * @param goesOn asked between kernel calls, which take a few milliseconds at most
 * @returns false when it was told not to go on: the unit is incomplete
 */
export function computeUnit(
  functions: QueryExports,
  job: SharedJob,
  unit: number,
  { work, windows }: WorkAreas,
  goesOn: () => boolean,
): boolean {
  const steps = job.field('steps');
  const [blockRows, unitRows, blockUnits] = [
    job.field('blockRows'),
    job.field('unitRows'),
    job.field('blockUnits'),
  ];
  const [callRows, callSteps] = [job.field('callRows'), job.field('callSteps')];
  const block = Math.floor(unit / blockUnits);
  const within = (unit % blockUnits) * unitRows;
  const first = block * blockRows + within;
  const end = Math.min(job.field('series'), first + unitRows, (block + 1) * blockRows);
  const slot = ((block % (job.field('ringUnits') / blockUnits)) * blockRows + within) * steps;
  const rows = job.field('ringRows') + slot * 8;
  const present = job.field('ringPresent') + slot;
  functions.queryChunkTable(
    job.field('chunkAddresses'),
    job.field('chunkLengths'),
    job.field('chunkMinTimes'),
    job.field('chunkMaxTimes'),
  );
  let [found, visited, code] = [0, 0, 0];
  for (let i = first; i < end && code >= 0; i += callRows) {
    for (let k = 0; k < steps && code >= 0; k += callSteps) {
      if ((i > first || k > 0) && !goesOn()) return false;
      const at = (i - first) * steps + k;
      setSteps(functions, job, k, Math.min(callSteps, steps - k), work, windows);
      code = call(functions, job, i, Math.min(end, i + callRows), rows + at * 8, present + at);
      if (code > 0) found += code;
      visited += functions.queryWindowSamples();
    }
  }
  job.setResult(unit, found, visited, Math.min(0, code));
  return true;
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
