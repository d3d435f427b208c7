export {
  scanColumns, scanErrorOffset, scanExemplarCount, scanHistogramCount, scanMetadataCount, scanSampleCount,
  scanSeriesCount, scanWriteRequest,
} from './scan';
export { invalidAddress, invalidLength, validateLabels, validateLimits } from './validate';
export { fingerprint, fingerprintSeed, hash1, hash2 } from '../fingerprint';
