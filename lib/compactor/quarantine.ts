import { blockOfFile } from '../blocktransfer/index.js';
import type { Bucket } from '../bucket/index.js';
import { type MarkKind, writeMark } from '../bucketindex/index.js';
import type { Clock } from '../clock/index.js';
import { messageOf, VarveError } from '../errors/index.js';
import type { Logger } from '../telemetry/index.js';
import type { Job } from './job.js';
import type { CompactorMetrics } from './metrics.js';

/** Errors that say of a block what will not change, and the reason its mark gets. */
const UNFIT: Readonly<Record<string, string>> = {
  'aggregate-overlap': 'downsample-vertical-compaction',
  'aggregate-deletion': 'downsample-vertical-compaction',
  'chunk-encoding-unsupported': 'unsupported-encoding',
  'downsample-overlap': 'overlapping-chunks',
  'downsample-encoding': 'unsupported-encoding',
  'downsample-tombstones': 'deletions-not-applied',
};

/** Damage that is seen this often is in the bucket, not on the way from it. */
const CORRUPTIONS_MAX = 2;
/** Pauses before a job is tried again: the first, which doubles, and the longest. */
const BACKOFF = { firstMs: 60_000, longestMs: 3_600_000 };
/** A store that was away is no fault of the job: when it is back, nothing should wait for an hour. */
const BACKOFF_UNAVAILABLE = { firstMs: 5000, longestMs: 300_000 };

/**
 * Decides what follows from a failed job: another try later, or, when one of its blocks is to blame, a mark on that
 * block, so that the others can go on without it.
 */
export class Quarantine {
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: CompactorMetrics;
  readonly #corruptions = new Map<string, number>();
  readonly #backoffs = new Map<string, { readonly tries: number; readonly untilMs: number }>();

  constructor(bucket: Bucket, clock: Clock, logger: Logger, metrics: CompactorMetrics) {
    this.#bucket = bucket;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** Whether a job that failed may be tried again. */
  isDue(tenant: string, job: Job): boolean {
    const backoff = this.#backoffs.get(`${tenant}/${job.key}`);
    return backoff === undefined || backoff.untilMs <= this.#clock.nowMs();
  }

  succeeded(tenant: string, job: Job): void {
    this.#backoffs.delete(`${tenant}/${job.key}`);
  }

  async failed(tenant: string, job: Job, error: unknown): Promise<void> {
    const key = `${tenant}/${job.key}`;
    const culprit = culpritOf(job, error);
    const isDamaged = error instanceof VarveError && error.kind === 'corruption';
    const unfit = error instanceof VarveError ? UNFIT[error.code] : undefined;
    if (culprit !== null && (isDamaged || unfit !== undefined)) {
      const seen = (this.#corruptions.get(culprit) ?? 0) + 1;
      this.#corruptions.set(culprit, seen);
      if (unfit === undefined && seen < CORRUPTIONS_MAX) {
        this.#logger.warn(
          { tenant, job: job.key, block: culprit, error: messageOf(error) },
          'block looks damaged, it is fetched once more',
        );
        return;
      }
      this.#corruptions.delete(culprit);
      await this.#exclude(tenant, job, culprit, unfit ?? 'corrupt-block', messageOf(error));
      return;
    }
    const tries = (this.#backoffs.get(key)?.tries ?? 0) + 1;
    const isUnavailable = error instanceof VarveError && error.kind === 'unavailable';
    const { firstMs, longestMs } = isUnavailable ? BACKOFF_UNAVAILABLE : BACKOFF;
    const pauseMs = Math.min(longestMs, firstMs * 2 ** (tries - 1));
    this.#backoffs.set(key, { tries, untilMs: this.#clock.nowMs() + pauseMs });
    this.#logger.error(
      { tenant, job: job.key, tries, retrySeconds: pauseMs / 1000, error: messageOf(error) },
      'job failed, it is tried again',
    );
  }

  async #exclude(tenant: string, job: Job, ulid: string, reason: string, details: string): Promise<void> {
    const timeSeconds = Math.floor(this.#clock.nowMs() / 1000);
    const isDamaged = reason === 'corrupt-block';
    const marks: MarkKind[] =
      job.kind === 'downsample'
        ? ['no-downsample']
        : isDamaged
          ? ['no-compact', 'no-downsample']
          : ['no-compact'];
    for (const kind of marks) {
      const isNew = await writeMark(this.#bucket, tenant, kind, { ulid, timeSeconds, details, reason });
      if (isNew) this.#metrics.quarantined.inc({ mark: kind, reason });
    }
    const advice = isDamaged
      ? `replace the block from a copy or delete it; when it is whole again, remove ${marks.map((kind) => `${kind}-mark.json`).join(' and ')} from ${tenant}/${ulid}/ and ${tenant}/markers/`
      : `the block stays readable as it is; remove ${marks[0]}-mark.json from ${tenant}/${ulid}/ and ${tenant}/markers/ to have it tried again`;
    this.#logger.error(
      { tenant, block: ulid, marks, reason, job: job.key, error: details, advice },
      isDamaged
        ? 'block is damaged and is left out from now on'
        : 'block does not fit and is left out from now on',
    );
  }
}

/** The block of a job that an error is about; null when it is about none or nobody knows. */
function culpritOf(job: Job, error: unknown): string | null {
  if (!(error instanceof VarveError)) return null;
  const { block, file } = error.details;
  const named = typeof block === 'string' ? block : typeof file === 'string' ? blockOfFile(file) : null;
  if (named !== null) return job.blocks.some(({ ulid }) => ulid === named) ? named : null;
  return job.blocks.length === 1 ? job.blocks[0]!.ulid : null;
}
