export { formatG, log as goLog, log2 as goLog2 } from '../../histogram/index.js';
export {
  type Buckets,
  bucketFraction,
  bucketQuantile,
  type Forced,
  prepareBuckets,
} from './classic-histogram.js';
export { evaluateDate } from './dates.js';
export { goExp, goLog10, goMax, goMin, goPow } from './go-math.js';
export {
  goAcos,
  goAcosh,
  goAsin,
  goAsinh,
  goAtan,
  goAtan2,
  goCos,
  goCosh,
  goSin,
  goSinh,
  goTan,
  goTanh,
} from './go-trig.js';
export { naturalLess } from './natural-order.js';
export { formatF, formatF6, formatG2 } from './number-format.js';
export { parseGoFloat } from './parse-float.js';
export { compareScalars, scalarArithmetic } from './scalar-operators.js';
export { xxhash64 } from './xxhash64.js';
