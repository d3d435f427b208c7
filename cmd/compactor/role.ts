import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Bucket } from '../../lib/bucket/index.js';
import type { Clock } from '../../lib/clock/index.js';
import { Compactor, mountCompactor, soleOwner, ThreadEngine } from '../../lib/compactor/index.js';
import { type Config, parseBlockRanges } from '../../lib/config/index.js';
import { VarveError } from '../../lib/errors/index.js';
import type { HttpServer } from '../../lib/http/index.js';
import type { LimitsProvider } from '../../lib/limits/index.js';
import type { Module } from '../../lib/service/index.js';
import type { Logger, Metrics } from '../../lib/telemetry/index.js';

export interface CompactorRoleParts {
  readonly config: Config;
  readonly bucket: Bucket;
  readonly server: HttpServer;
  readonly limits: LimitsProvider;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** An index is written again at least this often: readers refuse one that is an hour old. */
const INDEX_REFRESH_MS = 600_000;

/** The compactor's module, and how to have it look for work now. */
export interface CompactorModule extends Module {
  readonly wake: () => void;
}

/** Mounts the compactor's pages and returns its module. */
export function buildCompactor(parts: CompactorRoleParts): CompactorModule {
  const { config, server, logger } = parts;
  const settings = config.compactor;
  const folder = resolve(settings.dataDir === '' ? join(config.dataDir, 'compactor') : settings.dataDir);
  const rangesMs = parseBlockRanges(settings.blockRanges)!;
  checkRanges(config, rangesMs);
  let holder = '';
  const compactor = new Compactor({
    ...parts,
    logger: logger.child({ component: 'compactor' }),
    engine: new ThreadEngine(),
    owners: soleOwner,
    options: {
      rangesMs,
      compactionIntervalMs: settings.compactionIntervalMs,
      cleanupIntervalMs: settings.cleanupIntervalMs,
      concurrency: settings.compactionConcurrency,
      firstLevelWaitMs: settings.firstLevelCompactionWaitPeriodMs,
      deletionDelayMs: settings.deletionDelayMs,
      partialDelayMs: settings.partialBlockDeletionDelayMs,
      tenantCleanupDelayMs: settings.tenantCleanupDelayMs,
      deletionSettleMs: settings.deletionSettleTimeMs,
      indexRefreshMs: INDEX_REFRESH_MS,
      downsampling: settings.downsamplingEnabled
        ? { hourMs: settings.downsampling1hRangeMs, dayMs: settings.downsampling1dRangeMs }
        : null,
      holder: () => {
        if (holder === '') holder = instanceId(folder);
        return holder;
      },
      leaseExpiryMs: settings.leaseExpiryMs,
      scratchFolder: join(folder, 'scratch'),
      scratchBytesMax: settings.maxScratchBytes,
    },
  });
  mountCompactor(server, compactor, config);
  const wake = () => compactor.wake();
  return { name: 'compactor', needs: ['runtime-config', 'storage'], service: compactor, wake };
}

/** Spans of coarser blocks are made of whole finer ones. */
function checkRanges(config: Config, rangesMs: readonly number[]): void {
  const { downsamplingEnabled, downsampling1hRangeMs: hours, downsampling1dRangeMs: days } = config.compactor;
  if (!downsamplingEnabled) return;
  if (hours > 0 && hours % rangesMs.at(-1)! === 0 && days > 0 && days % hours === 0) return;
  throw new VarveError(
    'client',
    'config-invalid',
    'compactor.downsampling_1h_range must be a multiple of the largest of compactor.block_ranges, and compactor.downsampling_1d_range a multiple of that',
  );
}

/** A name that a restart keeps, so that the jobs of the life before can be gone on with at once. */
function instanceId(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'instance-id');
  try {
    const id = readFileSync(path, 'utf8').trim();
    if (id !== '') return id;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const id = randomUUID();
  writeFileSync(path, `${id}\n`);
  return id;
}
