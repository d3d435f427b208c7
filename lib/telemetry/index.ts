export type { LogFields, Logger, LoggerOptions } from './logger.js';
export { createLogger, silentLogger } from './logger.js';
export type { BoundCounter, BoundHistogram } from './metrics.js';
export { Metrics } from './metrics.js';
