export { formatByteSize, formatDuration, parseByteSize, parseDuration } from './duration.js';
export type { SettingFacts, SettingOptions } from './setting.js';
export {
  boolean,
  byteSize,
  choice,
  duration,
  group,
  integer,
  listenAddress,
  quantity,
  splitListenAddress,
  text,
  wordList,
} from './setting.js';
export type { SettingEntry } from './tree.js';
export { checkSettings, listSettings, printSettings, renameKeys, yamlKey } from './tree.js';
