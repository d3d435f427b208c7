export { type CommandLine, loadConfig } from './load.js';
export { renderConfig, renderHelp, renderReference } from './render.js';
export { RuntimeFile } from './runtime-file.js';
export { type Config, configSchema, FEATURES, type Feature, TARGETS, type Target } from './schema.js';
