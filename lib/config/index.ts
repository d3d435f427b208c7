export { parseBlockRanges } from './block-ranges.js';
export { type CommandLine, loadConfig } from './load.js';
export { renderConfig, renderFlags, renderHelp, renderReference } from './render.js';
export { RuntimeFile } from './runtime-file.js';
export { type Config, configSchema, FEATURES, type Feature, TARGETS, type Target } from './schema.js';
