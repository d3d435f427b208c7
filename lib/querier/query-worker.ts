import { existsSync } from 'node:fs';
import { VarveError } from '../errors/index.js';
import type { Queryable } from '../storage/index.js';
import { BlockReader } from '../tsdb/block/index.js';
import { serveTasks, workerSetupData } from '../workers/index.js';
import { BlockCache } from './block-cache.js';
import { TaskExecutor } from './executor.js';
import { makeEngine, makeLanguage } from './promql.js';
import { SourceReaders } from './source-readers.js';
import type { HeadDescriptor } from './sources.js';
import type { QueryTask, QueryWorkerData } from './task.js';

/** The program of a query thread: opens sources, evaluates, writes JSON, hands the bytes over. */

const { engine, openBlocksMax } = workerSetupData() as QueryWorkerData;

function openHead({ view }: HeadDescriptor): Queryable {
  throw new VarveError('internal', 'head-unreadable', `this build cannot read heads (${typeof view})`);
}

const blocks = new BlockCache((directory) => BlockReader.open(directory), existsSync, openBlocksMax);
const readers = new SourceReaders(blocks, openHead);
const executor = new TaskExecutor(makeEngine(engine), makeLanguage(engine.parser), readers);

serveTasks(async (payload, context) => {
  try {
    const answer = await executor.execute(payload as QueryTask, context);
    return { value: answer, transfer: [answer.body.buffer] };
  } finally {
    readers.tidy(performance.now());
  }
});
