export { compareWithBucket, listLocalFiles } from './compare.js';
export { type BlockAddress, type CopyResult, copyBlock } from './copy.js';
export {
  type BlockFile,
  blockOfFile,
  deleteBlock,
  downloadBlock,
  listBlockFiles,
  publishBlock,
  uploadBlock,
} from './transfer.js';
