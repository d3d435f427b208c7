export {
  type CompactedBlock,
  type CompactOptions,
  type CompactProgress,
  compactBlocks,
} from './compact-blocks.js';
