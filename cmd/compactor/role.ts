import { join, resolve } from 'node:path';
import type { Bucket } from '../../lib/bucket/index.js';
import type { Clock } from '../../lib/clock/index.js';
import { Compactor, mountCompactor, SharedOwners, ThreadEngine } from '../../lib/compactor/index.js';
import { type Config, parseBlockRanges } from '../../lib/config/index.js';
import { VarveError } from '../../lib/errors/index.js';
import type { HttpServer } from '../../lib/http/index.js';
import type { LimitsProvider } from '../../lib/limits/index.js';
import { type Membership, workersOf } from '../../lib/membership/index.js';
import type { Module, Service } from '../../lib/service/index.js';
import type { Logger, Metrics } from '../../lib/telemetry/index.js';
import { DataLock } from '../varve/data-lock.js';

export interface CompactorRoleParts {
  readonly config: Config;
  readonly bucket: Bucket;
  readonly membership: Membership;
  readonly server: HttpServer;
  readonly limits: LimitsProvider;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Told whenever the index of a tenant was written. */
  readonly onIndex: (tenant: string) => void;
}

/** An index is written again at least this often: readers refuse one that is an hour old. */
const INDEX_REFRESH_MS = 600_000;

/** The compactor's modules, and how to have it look for work now. */
export interface CompactorModules {
  readonly modules: readonly Module[];
  readonly wake: () => void;
}

/** The compactor's own folder; its content is worth nothing but for the name of the process. */
export function compactorFolder(config: Config): string {
  const { dataDir } = config.compactor;
  return resolve(dataDir === '' ? join(config.dataDir, 'compactor') : dataDir);
}

/** Mounts the compactor's pages and returns its modules. The work is shared with all members that are compactors. */
export function buildCompactor(parts: CompactorRoleParts): CompactorModules {
  const { config, membership, server } = parts;
  const logger = parts.logger.child({ component: 'compactor' });
  const settings = config.compactor;
  const folder = compactorFolder(config);
  const rangesMs = parseBlockRanges(settings.blockRanges)!;
  checkRanges(config, rangesMs);
  const id = () => membership.selfId();
  const compactor = new Compactor({
    ...parts,
    logger,
    engine: new ThreadEngine(),
    owners: new SharedOwners(id, () => workersOf(membership, 'compactor')),
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
      holder: id,
      leaseExpiryMs: settings.leaseExpiryMs,
      scratchFolder: join(folder, 'scratch'),
      scratchBytesMax: settings.maxScratchBytes,
    },
  });
  mountCompactor(server, compactor, config);
  const modules: readonly Module[] = [
    { name: 'compactor-folder', needs: [], service: lockOf(folder) },
    { name: 'compactor', needs: ['runtime-config', 'storage', 'membership'], service: compactor },
  ];
  return { modules, wake: () => compactor.wake() };
}

/** Two processes in one folder would empty each other's scratch and have one name. */
function lockOf(folder: string): Service {
  let lock: DataLock | null = null;
  return {
    start: async () => {
      lock = await DataLock.take(folder);
    },
    stop: async () => lock?.release(),
  };
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
