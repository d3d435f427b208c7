export { adoptKernelModule, createMemory, instantiate, kernelModule, MEMORY_BYTES_MAX } from './module.js';
export {
  AGGREGATION,
  INSTANT_MODE,
  QUERY_CODE,
  type QueryExports,
  QueryKernel,
  RANGE_FUNCTION,
  WINDOW_FORM,
} from './query.js';
