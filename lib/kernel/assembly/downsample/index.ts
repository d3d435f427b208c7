export { downsampleEntries, downsampleLevel } from './levels';
export { plainAverage, plainCounter, plainOnes } from './plain';
export { downsampleExpand, downsampleFloats } from './windows';
