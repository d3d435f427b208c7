export {
  type BlockFile,
  blockOfFile,
  deleteBlock,
  downloadBlock,
  listBlockFiles,
  publishBlock,
  uploadBlock,
} from './transfer.js';
