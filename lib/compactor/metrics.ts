import type { Metrics } from '../telemetry/index.js';

/** What the compactor counts; names follow Cortex and Thanos where they have the same thing. */
export class CompactorMetrics {
  readonly runsStarted;
  readonly runsCompleted;
  readonly runsFailed;
  readonly lastSuccess;
  readonly jobsDone;
  readonly jobsFailed;
  readonly jobSeconds;
  readonly jobSamples;
  readonly jobsOpen;
  readonly eta;
  readonly bytesDownloaded;
  readonly bytesUploaded;
  readonly marksWritten;
  readonly quarantined;
  readonly blocksDeleted;
  readonly deletionsFailed;
  readonly cleansFailed;
  readonly blocks;
  readonly blocksMarked;
  readonly blocksExcluded;
  readonly blocksPartial;
  readonly indexUpdated;
  readonly deletions;

  constructor(metrics: Metrics) {
    const name = (rest: string) => `varve_compactor_${rest}`;
    this.runsStarted = metrics.counter(
      name('runs_started_total'),
      'Rounds of planning and running jobs begun.',
    );
    this.runsCompleted = metrics.counter(
      name('runs_completed_total'),
      'Rounds that ended without a failure.',
    );
    this.runsFailed = metrics.counter(name('runs_failed_total'), 'Rounds in which something failed.');
    this.lastSuccess = metrics.gauge(
      name('last_successful_run_timestamp_seconds'),
      'End of the last round without a failure.',
    );
    this.jobsDone = metrics.counter(name('jobs_completed_total'), 'Jobs that made their block.', [
      'kind',
      'resolution',
    ]);
    this.jobsFailed = metrics.counter(
      name('jobs_failed_total'),
      'Jobs that failed, by the code of the error.',
      ['kind', 'code'],
    );
    this.jobSeconds = metrics.histogram(
      name('job_duration_seconds'),
      'Time from the first download to the last mark.',
      ['kind'],
      [1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14_400],
    );
    this.jobSamples = metrics.counter(
      name('job_samples_total'),
      'Samples read by jobs that made their block.',
      ['kind'],
    );
    this.jobsOpen = metrics.gauge(name('jobs'), 'Jobs of this compactor that wait or run.', [
      'kind',
      'state',
    ]);
    this.eta = metrics.gauge(
      name('eta_seconds'),
      'Time until the planned jobs are done, at the pace of the last ones; 0 when there are none.',
    );
    this.bytesDownloaded = metrics.counter(name('downloaded_bytes_total'), 'Bytes of blocks fetched.');
    this.bytesUploaded = metrics.counter(name('uploaded_bytes_total'), 'Bytes of blocks stored.');
    this.marksWritten = metrics.counter(
      name('blocks_marked_for_deletion_total'),
      'Blocks marked for deletion: compacted, covered by another, past retention.',
      ['reason'],
    );
    this.quarantined = metrics.counter(
      name('blocks_quarantined_total'),
      'Blocks left out of compaction or downsampling from now on, because they are damaged or do not fit.',
      ['mark', 'reason'],
    );
    this.blocksDeleted = metrics.counter(name('blocks_cleaned_total'), 'Blocks deleted from the bucket.');
    this.deletionsFailed = metrics.counter(
      name('block_cleanup_failures_total'),
      'Blocks that could not be deleted.',
    );
    this.cleansFailed = metrics.counter(
      name('tenant_cleanup_failures_total'),
      'Updates of a bucket index, with retention and deletion, that failed.',
    );
    this.blocks = metrics.gauge('varve_bucket_blocks_count', 'Blocks of a tenant in the bucket.', [
      'user',
      'resolution',
    ]);
    this.blocksMarked = metrics.gauge(
      'varve_bucket_blocks_marked_for_deletion_count',
      'Blocks that wait for their deletion.',
      ['user'],
    );
    this.blocksExcluded = metrics.gauge(
      'varve_bucket_blocks_marked_for_no_compaction_count',
      'Blocks that are left out of compaction.',
      ['user'],
    );
    this.blocksPartial = metrics.gauge(
      'varve_bucket_blocks_partials_count',
      'Blocks without a readable meta.json.',
      ['user'],
    );
    this.deletions = metrics.gauge('varve_compactor_deletions', 'Deletions of series that are not over.', [
      'user',
    ]);
    this.indexUpdated = metrics.gauge(
      'varve_bucket_index_last_successful_update_timestamp_seconds',
      'When the bucket index of a tenant was written last.',
      ['user'],
    );
  }

  /** Drops what is counted per tenant. */
  forget(tenant: string): void {
    for (const resolution of ['raw', '5m', '1h', '1d']) this.blocks.remove({ user: tenant, resolution });
    const { blocksMarked, blocksExcluded, blocksPartial, indexUpdated, deletions } = this;
    for (const gauge of [blocksMarked, blocksExcluded, blocksPartial, indexUpdated, deletions]) {
      gauge.remove({ user: tenant });
    }
  }
}

/** A resolution as people write it. */
export function resolutionName(resolution: number): string {
  if (resolution === 0) return 'raw';
  for (const [unit, ms] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    if (resolution % ms === 0) return `${resolution / ms}${unit}`;
  }
  return `${resolution}ms`;
}
