// Query part: chunks to columns, range functions, aggregation.
export { queryAggregateBlock, queryAggregateFinish } from './aggregate';
export {
  queryArguments,
  queryCountPresent,
  queryInstantBlock,
  queryLoadSamples,
  queryRangeBlock,
  queryRangeOverRows,
  queryWindowSamples,
} from './blocks';
export { queryChunkTable, queryColumns, queryFirst, querySamplesMax, querySteps, timesAddress as queryTimes, valuesAddress as queryValues } from './columns';
export { queryFilter } from './filter';
export { queryQuantile, queryQuantileSteps } from './sort';
