import { join } from 'node:path';
import { ulid as newUlid } from 'ulid';
import {
  type BlockFile,
  deleteBlock,
  downloadBlock,
  listBlockFiles,
  publishBlock,
  uploadBlock,
} from '../blocktransfer/index.js';
import type { Bucket } from '../bucket/index.js';
import { eachOf, markName, metaName, noteChecked, writeMark } from '../bucketindex/index.js';
import type { Clock } from '../clock/index.js';
import { CorruptionError, messageOf, VarveError } from '../errors/index.js';
import { type BlockMeta, readBlockMeta } from '../tsdb/block/index.js';
import type { DeletionKeeper } from './deletion-keeper.js';
import type { Engine, EngineTask } from './engine.js';
import { holdsDeleted } from './holds-deleted.js';
import type { Job } from './job.js';
import type { RunningJob } from './job-board.js';
import type { Lease } from './lease.js';
import type { CompactorMetrics } from './metrics.js';
import type { Scratch } from './scratch.js';

export interface JobRunnerParts {
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly engine: Engine;
  readonly scratch: Scratch;
  readonly metrics: CompactorMetrics;
  readonly deletions: DeletionKeeper;
}

/** Room for what is kept of an index while it is looked into. */
const INDEX_SLACK_BYTES = 16 * 1024 * 1024;

/** Bytes a result may have beyond its sources. */
const RESULT_SLACK_BYTES = 1024 * 1024;

/**
 * Does one job: sources to scratch, a new block made of them, the block into the bucket, marks on the sources.
 *
 * It may die at any point. Before meta.json of the new block is stored, nothing has happened: what was uploaded is a
 * partial block that is removed some time. Afterwards the new block covers its sources, and the cleaner marks what this
 * job no longer could.
 */
export class JobRunner {
  readonly #parts: JobRunnerParts;

  constructor(parts: JobRunnerParts) {
    this.#parts = parts;
  }

  /**
   * @param lease of the job; it is looked at before the block is published
   * @returns name of the new block, '' when there was nothing to make one of
   */
  async run(
    tenant: string,
    job: Job,
    running: RunningJob,
    lease: Pick<Lease, 'isHeld'>,
    signal: AbortSignal,
  ): Promise<string> {
    const { bucket, scratch, engine } = this.#parts;
    running.advance('downloading', 0);
    if (job.kind === 'rewrite' && !(await this.#holdsDeleted(tenant, job))) {
      const keys = job.rules.map(({ key }) => key);
      await noteChecked(bucket, tenant, job.blocks[0]!.ulid, keys);
      return '';
    }
    if (!(await this.#parts.deletions.begin(tenant, job.rules))) throw overtaken('a deletion was cancelled');
    const files = new Map<string, readonly BlockFile[]>();
    const inputs = job.finer.length > 0 ? job.finer : job.blocks;
    for (const { ulid } of inputs) files.set(ulid, await listBlockFiles(bucket, tenant, ulid));
    const bytes = [...files.values()].flat().reduce((sum, file) => sum + file.byteCount, 0);
    const ulid = newUlid(this.#parts.clock.nowMs());
    const folder = await scratch.take(ulid, 2 * bytes + RESULT_SLACK_BYTES);
    try {
      const sources = await this.#download(tenant, files, bytes, folder.path, running, signal);
      const metas = sources.map((directory, i) => readSourceMeta(directory, inputs[i]!.ulid));
      running.advance('merging', 0);
      const { labels, applied } = job;
      const isDownsampling = job.finer.length > 0 || job.kind === 'downsample';
      const kind: EngineTask['kind'] = isDownsampling ? 'downsample' : 'compact';
      const levelMin = job.kind === 'rewrite' ? job.blocks[0]!.facts.level + 1 : 0;
      const masks = job.rules.flatMap((rule) => rule.masks);
      const task = { kind, sources, directory: folder.path, ulid, labels, masks, applied, levelMin };
      const meta = await engine.run(task, signal, (fraction) => running.advance('merging', fraction));
      signal.throwIfAborted();
      if (meta === null) {
        await this.#passOver(tenant, job, metas);
        return '';
      }
      checkResult(job, metas, meta);
      await this.#upload(tenant, job, meta, folder.path, bytes, running, lease, signal);
      running.advance('finishing', 0);
      if (job.kind === 'compact') await this.#markSources(tenant, job, `compacted into ${ulid}`);
      if (job.kind === 'rewrite') await this.#markSources(tenant, job, `without deleted samples in ${ulid}`);
      return ulid;
    } finally {
      await folder.remove();
    }
  }

  /** Whether a block has series with samples that are to go, told by its index alone. */
  async #holdsDeleted(tenant: string, job: Job): Promise<boolean> {
    const { bucket, scratch } = this.#parts;
    const block = job.blocks[0]!;
    const folder = await scratch.take(`${block.ulid}-index`, INDEX_SLACK_BYTES);
    try {
      return await holdsDeleted(bucket, tenant, block, job.rules, folder.path);
    } finally {
      await folder.remove();
    }
  }

  async #download(
    tenant: string,
    files: ReadonlyMap<string, readonly BlockFile[]>,
    bytesTotal: number,
    folder: string,
    running: RunningJob,
    signal: AbortSignal,
  ): Promise<string[]> {
    const directories: string[] = [];
    let done = 0;
    for (const [ulid, blockFiles] of files) {
      const source = { tenant, ulid, files: blockFiles };
      const onBytes = (byteCount: number): void => {
        done += byteCount;
        this.#parts.metrics.bytesDownloaded.inc(byteCount);
        running.advance('downloading', done / bytesTotal);
      };
      directories.push(await downloadBlock(this.#parts.bucket, source, folder, signal, onBytes));
    }
    return directories;
  }

  async #upload(
    tenant: string,
    job: Job,
    meta: BlockMeta,
    folder: string,
    bytesExpected: number,
    running: RunningJob,
    lease: Pick<Lease, 'isHeld'>,
    signal: AbortSignal,
  ): Promise<void> {
    const { bucket, clock, metrics } = this.#parts;
    running.advance('uploading', 0);
    let done = 0;
    let isPublishing = false;
    try {
      const directory = join(folder, meta.ulid);
      const files = await uploadBlock(bucket, tenant, directory, meta.ulid, signal, (byteCount) => {
        done += byteCount;
        metrics.bytesUploaded.inc(byteCount);
        running.advance('uploading', done / Math.max(done, bytesExpected));
      });
      await this.#checkCurrent(tenant, job);
      if (!(await lease.isHeld())) throw overtaken('another compactor has taken it over');
      signal.throwIfAborted();
      isPublishing = true;
      await publishBlock(bucket, tenant, meta, files, clock.nowMs());
    } catch (error) {
      // After a failure to publish nobody knows whether the block is there.
      if (!isPublishing) await deleteBlock(bucket, tenant, meta.ulid).catch(() => undefined);
      throw error;
    }
  }

  /**
   * The sources must still be what the tenant's data is: a result of blocks that were replaced or deleted meanwhile
   * would bring back what they held.
   */
  async #checkCurrent(tenant: string, job: Job): Promise<void> {
    const { bucket } = this.#parts;
    await eachOf([...job.blocks, ...job.finer], 8, async ({ ulid }) => {
      if ((await bucket.stat(metaName(tenant, ulid))) === null) throw overtaken(`block ${ulid} is gone`);
      if ((await bucket.stat(markName(tenant, ulid, 'deletion'))) !== null) {
        throw overtaken(`block ${ulid} was marked for deletion`);
      }
    });
  }

  async #markSources(tenant: string, job: Job, details: string): Promise<void> {
    const { bucket, clock, metrics } = this.#parts;
    const timeSeconds = Math.floor(clock.nowMs() / 1000);
    for (const { ulid } of job.blocks) {
      const isNew = await writeMark(bucket, tenant, 'deletion', { ulid, timeSeconds, details, reason: '' });
      if (isNew) metrics.marksWritten.inc({ reason: 'compaction' });
    }
  }

  /** Sees to it that a job without a result isn't planned again and again. */
  async #passOver(tenant: string, job: Job, metas: readonly BlockMeta[]): Promise<void> {
    if (job.kind !== 'downsample') {
      const isEmpty = (meta: BlockMeta) => meta.stats.numSamples === 0 || (meta.stats.numTombstones ?? 0) > 0;
      if (job.rules.length === 0 && !metas.every(isEmpty)) {
        throw new VarveError('internal', 'compaction-result', 'blocks with samples gave a block without');
      }
      await this.#markSources(tenant, job, 'holds no samples');
      return;
    }
    const timeSeconds = Math.floor(this.#parts.clock.nowMs() / 1000);
    for (const { ulid } of job.blocks) {
      const mark = { ulid, timeSeconds, details: 'it holds nothing to downsample', reason: 'empty' };
      await writeMark(this.#parts.bucket, tenant, 'no-downsample', mark);
    }
  }
}

function readSourceMeta(directory: string, ulid: string): BlockMeta {
  let meta: BlockMeta;
  try {
    meta = readBlockMeta(directory);
  } catch (error) {
    throw new CorruptionError('block-meta', messageOf(error), { cause: error, details: { block: ulid } });
  }
  if (meta.ulid === ulid) return meta;
  throw new CorruptionError('block-meta', `meta.json of block ${ulid} is that of block ${meta.ulid}`, {
    details: { block: ulid },
  });
}

/** Whether the counts of a result can be true. */
function checkResult(job: Job, sources: readonly BlockMeta[], result: BlockMeta): void {
  const series = result.stats.numSeries ?? 0;
  const seriesSum = sources.reduce((sum, { stats }) => sum + (stats.numSeries ?? 0), 0);
  const problems: string[] = [];
  if (series > seriesSum) problems.push(`${series} series of ${seriesSum}`);
  const hasDeletions = job.rules.length > 0 || sources.some(({ stats }) => (stats.numTombstones ?? 0) > 0);
  if (job.kind === 'compact' && !hasDeletions) {
    const samples = result.stats.numSamples ?? 0;
    const counts = sources.map(({ stats }) => stats.numSamples ?? 0);
    const sum = counts.reduce((total, count) => total + count, 0);
    const isApart = sources.every((a, i) => sources.every((b, j) => i === j || !overlap(a, b)));
    const least = isApart ? sum : Math.max(...counts);
    if (samples > sum || samples < least) problems.push(`${samples} samples of ${sum}, at least ${least}`);
    const seriesLeast = Math.max(...sources.map(({ stats }) => stats.numSeries ?? 0));
    if (series < seriesLeast) problems.push(`${series} series of at least ${seriesLeast}`);
  }
  const minTime = Math.min(...sources.map((meta) => meta.minTime));
  const maxTime = Math.max(...sources.map((meta) => meta.maxTime));
  if (result.minTime < minTime || result.maxTime > maxTime) problems.push('times that no source has');
  if (problems.length === 0) return;
  throw new VarveError('internal', 'compaction-result', `the result cannot be right: ${problems.join('; ')}`);
}

function overlap(a: BlockMeta, b: BlockMeta): boolean {
  return a.minTime < b.maxTime && b.minTime < a.maxTime;
}

function overtaken(why: string): VarveError {
  return new VarveError('cancelled', 'job-overtaken', `the job is given up: ${why}`);
}
