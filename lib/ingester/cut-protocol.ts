import type { CutBlock } from '../tsdb/head/index.js';

/** What the worker thread of `cut-worker.ts` is asked to do. Posted as worker data. */
export type CutTask =
  | {
      readonly kind: 'cut';
      readonly memory: WebAssembly.Memory;
      /** Folder of the tenant's blocks. */
      readonly directory: string;
      readonly rangeMs: number;
      /** End of what is cut, exclusive. */
      readonly upToMs: number;
    }
  | {
      readonly kind: 'checkpoint';
      readonly memory: WebAssembly.Memory;
      readonly walDirectory: string;
      /** Last segment that the checkpoint stands for. */
      readonly upTo: number;
      /** Samples before this are in blocks. */
      readonly minTimeMs: number;
    };

export type CutReply =
  | { readonly kind: 'cut'; readonly blocks: readonly CutBlock[] }
  | { readonly kind: 'checkpoint'; readonly samplesKept: number; readonly samplesDropped: number }
  | {
      readonly kind: 'error';
      readonly message: string;
      readonly code: string;
      /** The disk refused it, which may pass or be cured: no fault of ours. */
      readonly isDisk: boolean;
    };
