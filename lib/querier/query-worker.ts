import { BlockStore, DEFAULT_FETCH_OPTIONS } from '../blockstore/index.js';
import { bucketFolder, FolderBucket, openBucket } from '../bucket/index.js';
import { type HelpDesk, type HelpRequest, QueryHelper } from '../promql/exec/index.js';
import type { Queryable } from '../storage/index.js';
import { HeadReader, SelectionCache } from '../tsdb/head/index.js';
import {
  attachment,
  callForHelp,
  lowerThreadPriority,
  MemoryTidy,
  serveTasks,
  workerPlace,
  workerSetupData,
} from '../workers/index.js';
import { TaskExecutor } from './executor.js';
import { makeEngine, makeLanguage } from './promql.js';
import { type BlockStores, SourceReaders } from './source-readers.js';
import type { HeadDescriptor } from './sources.js';
import type { BlockAccess, QueryTask, QueryWorkerData } from './task.js';
import { warmUp } from './warm-up.js';

/** The program of a query thread: opens sources, evaluates, writes JSON, hands the bytes over. */

const { engine, blocks, nice } = workerSetupData() as QueryWorkerData;
// Whoever pushes or asks for something small must not wait for somebody's heavy query.
if (nice > 0) lowerThreadPriority(nice);

/** One reader per head: they keep what they have learnt of label names and values. */
const heads = new Map<string, HeadReader>();
const selections = new SelectionCache();

function openHead({ memoryKey }: HeadDescriptor): Queryable {
  let reader = heads.get(memoryKey);
  if (reader === undefined) {
    reader = new HeadReader(attachment(memoryKey) as WebAssembly.Memory, selections);
    heads.set(memoryKey, reader);
  }
  reader.begin();
  return reader;
}

/** Each thread fetches for itself: handing bytes on would keep the main thread busy (decision 9). */
async function openStores(access: BlockAccess): Promise<BlockStores> {
  const common = {
    cacheDirectory: access.cacheFolder,
    cacheBytes: access.cacheBytes,
    fetch: DEFAULT_FETCH_OPTIONS,
    openBlocksMax: access.openBlocksMax,
  };
  const local = new FolderBucket(access.localFolder);
  return {
    local: new BlockStore({ ...common, bucket: local, folder: access.localFolder }),
    bucket: new BlockStore({
      ...common,
      bucket: await openBucket(access.bucket),
      folder: bucketFolder(access.bucket),
    }),
  };
}

const stores = openStores(blocks);
// Told by the queries that need them.
stores.catch(() => {});
const readers = new SourceReaders(stores, openHead);
const { number, size } = workerPlace();
const desk: HelpDesk = { coordinator: number, helpersMax: size - 1, call: callForHelp };
const queryEngine = makeEngine(engine, desk);
const language = makeLanguage(engine.parser);
const executor = new TaskExecutor(queryEngine, language, readers);
/** A query that took this long may have left much behind: chunks, rows, results. */
const LARGE_MS = 200;
const LARGE_BYTES = 64 * 1024 * 1024;
const tidy = new MemoryTidy(100);
const helper = new QueryHelper((byteCount) => tidy.note(byteCount));
let running = 0;

serveTasks(
  async (payload, context) => {
    running++;
    const begunMs = performance.now();
    try {
      const answer = await executor.execute(payload as QueryTask, context);
      return { value: answer, transfer: [answer.body.buffer] };
    } finally {
      running--;
      const nowMs = performance.now();
      await readers.tidy(nowMs).catch(() => {});
      if (nowMs - begunMs > LARGE_MS) tidy.note(LARGE_BYTES);
    }
  },
  (request, isWanted) => helper.assist(request as HelpRequest, isWanted),
);
// What fails here fails in real queries too, and is told there.
warmUp(queryEngine, language, () => running > 0).catch(() => {});
