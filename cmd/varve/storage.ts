import { resolve } from 'node:path';
import type { Clock } from '../../lib/clock/index.js';
import type { Config } from '../../lib/config/index.js';
import type { PushService } from '../../lib/http/index.js';
import type { LimitsProvider } from '../../lib/limits/index.js';
import { BucketProvider, type SourceProvider } from '../../lib/querier/index.js';
import type { Service } from '../../lib/service/index.js';
import type { Logger, Metrics } from '../../lib/telemetry/index.js';

export interface StorageParts {
  readonly config: Config;
  readonly limits: LimitsProvider;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The part of the process that holds data: what the other parts need of it. */
export interface Storage extends Service {
  readonly sources: SourceProvider;
  /** Takes remote write requests; null when this process takes none. */
  readonly push: PushService | null;
  /**
   * Cuts heads into blocks, of one tenant or, with '', of all. Resolves with the number of blocks when they are in
   * the bucket; null when this process has no heads.
   */
  readonly flush: ((tenant: string) => Promise<number>) | null;
}

/** How often the bucket folder is looked at for new blocks. */
const REFRESH_MS = 30_000;

/** Storage that only reads the bucket. */
export function buildStorage({ config, logger }: StorageParts): Storage {
  const folder = resolve(config.bucket.slice('file:'.length));
  const provider = new BucketProvider(folder, REFRESH_MS, logger);
  return {
    sources: provider,
    push: null,
    flush: null,
    start: () => provider.start(),
    stop: () => provider.stop(),
  };
}
