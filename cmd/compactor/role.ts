import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Bucket } from '../../lib/bucket/index.js';
import type { Clock } from '../../lib/clock/index.js';
import { Compactor, mountCompactor, SharedOwners, ThreadEngine } from '../../lib/compactor/index.js';
import { type Config, parseBlockRanges } from '../../lib/config/index.js';
import { VarveError } from '../../lib/errors/index.js';
import { type HttpServer, JSON_TYPE } from '../../lib/http/index.js';
import type { LimitsProvider } from '../../lib/limits/index.js';
import { BucketMembership } from '../../lib/membership/index.js';
import type { Module, Service } from '../../lib/service/index.js';
import type { Logger, Metrics } from '../../lib/telemetry/index.js';
import { DataLock } from '../varve/data-lock.js';

export interface CompactorRoleParts {
  readonly config: Config;
  readonly bucket: Bucket;
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

/**
 * Mounts the compactor's pages and returns its modules. The work is shared with all compactors on the same bucket,
 * which find one another through it.
 */
export function buildCompactor(parts: CompactorRoleParts): CompactorModules {
  const { bucket, config, metrics, server } = parts;
  const logger = parts.logger.child({ component: 'compactor' });
  const settings = config.compactor;
  const folder = resolve(settings.dataDir === '' ? join(config.dataDir, 'compactor') : settings.dataDir);
  const rangesMs = parseBlockRanges(settings.blockRanges)!;
  checkRanges(config, rangesMs);
  const { heartbeatPeriodMs, heartbeatTimeoutMs } = config.membership;
  checkHeartbeats(heartbeatPeriodMs, heartbeatTimeoutMs);
  let holder = config.instanceId;
  const id = () => {
    if (holder === '') holder = keptId(folder);
    return holder;
  };
  const membership = new BucketMembership({
    ...{ bucket, logger, metrics },
    options: { group: 'compactors', id, periodMs: heartbeatPeriodMs, timeoutMs: heartbeatTimeoutMs },
  });
  const compactor = new Compactor({
    ...parts,
    logger,
    engine: new ThreadEngine(),
    owners: new SharedOwners(id, () => membership.members().map((member) => member.id)),
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
  server.route(['GET', 'HEAD'], '/compactor/members', (exchange) => {
    const members = membership.members().map((member) => ({ ...member, isSelf: member.id === id() }));
    exchange.send(200, JSON_TYPE, JSON.stringify({ members }));
  });
  const modules: readonly Module[] = [
    { name: 'compactor-folder', needs: [], service: lockOf(folder) },
    { name: 'compactor-members', needs: ['storage', 'compactor-folder'], service: membership },
    { name: 'compactor', needs: ['runtime-config', 'storage', 'compactor-members'], service: compactor },
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

function checkHeartbeats(periodMs: number, timeoutMs: number): void {
  if (periodMs > 0 && timeoutMs > periodMs) return;
  throw new VarveError(
    'client',
    'config-invalid',
    'membership.heartbeat_timeout must be longer than membership.heartbeat_period, and neither may be 0',
  );
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
function keptId(folder: string): string {
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
