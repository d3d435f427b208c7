import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Bucket } from '../../lib/bucket/index.js';
import { systemClock } from '../../lib/clock/index.js';
import type { Config } from '../../lib/config/index.js';
import { VarveError } from '../../lib/errors/index.js';
import type { HttpServer } from '../../lib/http/index.js';
import { BucketStore, ClusterMembership, type Membership, MemoryStore } from '../../lib/membership/index.js';
import { mountRing } from '../../lib/ring/index.js';
import { splitListenAddress } from '../../lib/settings/index.js';
import type { Logger, Metrics } from '../../lib/telemetry/index.js';
import { compactorFolder } from '../compactor/role.js';

export interface ClusterParts {
  readonly config: Config;
  readonly bucket: Bucket;
  readonly server: HttpServer;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** What `--target=all` runs. */
const ALL_ROLES = ['compactor', 'distributor', 'ingester', 'querier'];

/** Joins this process to the others by the store that is configured, and mounts the page that shows them. */
export function buildMembership({ config, bucket, server, metrics, logger }: ClusterParts): Membership {
  const { store: kind, heartbeatPeriodMs, heartbeatTimeoutMs, autoForgetPeriodMs } = config.membership;
  checkHeartbeats(heartbeatPeriodMs, heartbeatTimeoutMs);
  const store = kind === 'bucket' ? new BucketStore(bucket) : new MemoryStore(systemClock);
  const membership = new ClusterMembership({
    ...{ store, metrics, clock: systemClock },
    logger: logger.child({ component: 'membership' }),
    options: {
      cluster: config.clusterName,
      id: instanceId(config),
      address: advertisedAddress(config),
      zone: config.zone,
      roles: config.target.includes('all') ? ALL_ROLES : config.target,
      initialState: 'ACTIVE',
      unregisterOnStop: true,
      periodMs: heartbeatPeriodMs,
      timeoutMs: heartbeatTimeoutMs,
      autoForgetMs: autoForgetPeriodMs,
    },
  });
  mountRing(server, membership, systemClock, {
    cluster: config.clusterName,
    store: store.kind,
    replicationFactor: config.replicationFactor,
    role: 'ingester',
  });
  return membership;
}

function checkHeartbeats(periodMs: number, timeoutMs: number): void {
  if (periodMs > 0 && timeoutMs > periodMs) return;
  throw new VarveError(
    'client',
    'config-invalid',
    'membership.heartbeat_timeout must be longer than membership.heartbeat_period, and neither may be 0',
  );
}

/** The configured name, or one that a restart keeps; asked for when the folder is locked. */
function instanceId(config: Config): () => string {
  let id = config.instanceId;
  return () => {
    if (id === '') id = keptId(compactorFolder(config));
    return id;
  };
}

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

/** Where others reach the gRPC server: one that listens on every address is reached by the first of this machine's own. */
function advertisedAddress(config: Config): string {
  const { host, port } = splitListenAddress(config.grpc.listen)!;
  const isAny = host === '::' || host === '0.0.0.0';
  const own = Object.values(networkInterfaces())
    .flat()
    .find((address) => address !== undefined && !address.internal && address.family === 'IPv4');
  const shown = isAny ? (own?.address ?? '127.0.0.1') : host;
  return shown.includes(':') ? `[${shown}]:${port}` : `${shown}:${port}`;
}
