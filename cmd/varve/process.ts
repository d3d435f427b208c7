import { DeletionCatalog } from '../../lib/bucketindex/index.js';
import { systemClock } from '../../lib/clock/index.js';
import { type Config, RuntimeFile } from '../../lib/config/index.js';
import { HttpServer, mountPush } from '../../lib/http/index.js';
import { parseRetentionRules, TenantLimits } from '../../lib/limits/index.js';
import { type Module, ServiceGroup } from '../../lib/service/index.js';
import { type Logger, Metrics } from '../../lib/telemetry/index.js';
import { buildCompactor } from '../compactor/role.js';
import { buildQuerier } from '../querier/role.js';
import { mountAdmin } from './admin-routes.js';
import { buildStorage, type Storage, type StorageParts } from './storage.js';
import { VERSION } from './version.js';

/** Replaceable parts, for tests and for other storage. */
export interface ProcessOptions {
  readonly buildStorage?: (parts: StorageParts) => Storage;
  readonly queryWorkerScript?: URL;
  readonly withProcessMetrics?: boolean;
}

/** A process that is wired but not started. */
export interface VarveProcess {
  readonly group: ServiceGroup;
  readonly server: HttpServer;
}

/** Deletions of a tenant nobody asks for are forgotten after this long. */
const DELETIONS_IDLE_MS = 3_600_000;

/** Wires the parts of a process. The table at the end is the order of start; a stop goes through it backwards. */
export function buildProcess(config: Config, logger: Logger, options: ProcessOptions = {}): VarveProcess {
  const metrics = new Metrics({ withProcessMetrics: options.withProcessMetrics ?? true, version: VERSION });
  const limits = new TenantLimits(config.limits);
  const server = new HttpServer(config.http, metrics, logger);
  const storageParts: StorageParts = { config, limits, metrics, logger, clock: systemClock };
  const storage = (options.buildStorage ?? buildStorage)(storageParts);

  if (storage.push !== null) {
    mountPush(
      server,
      storage.push,
      {
        bodyBytesMax: config.push.maxBodyBytes,
        inflightBytesMax: config.push.maxInflightBytes,
        tenant: config,
      },
      metrics,
    );
  }
  const { bucket } = storage;
  const retentionOf = (tenant: string) => parseRetentionRules(limits.of(tenant).retentionMatchers);
  const deletions = new DeletionCatalog(bucket, systemClock, retentionOf, {
    syncIntervalMs: config.blocks.syncIntervalMs,
    idleMs: DELETIONS_IDLE_MS,
  });
  const querier = buildQuerier({
    config,
    provider: storage.sources,
    server,
    limits,
    metrics,
    logger,
    clock: systemClock,
    bucket,
    deletions,
    rewriteNow: () => compactor.wake(),
    workerScript: options.queryWorkerScript ?? new URL('../../lib/querier/query-worker.js', import.meta.url),
    buildInfo: {
      application: config.http.grafanaApplication,
      version: VERSION,
      revision: '',
      branch: '',
      buildDate: '',
      repository: '',
      features: {
        ruler_config_api: 'false',
        alertmanager_config_api: 'false',
        query_sharding: 'false',
        federated_rules: 'false',
      },
    },
  });
  const compactor = buildCompactor({ config, bucket, server, limits, metrics, logger, clock: systemClock });
  mountAdmin({ server, config, limits, metrics, storage, state: () => group.state });

  const modules: readonly Module[] = [
    // Listens from the start, so that health can be asked during a long replay; other routes answer 503 until then.
    { name: 'http', needs: [], service: server },
    { name: 'runtime-config', needs: [], service: runtimeConfigService(config, limits, logger) },
    { name: 'storage', needs: ['runtime-config'], service: storage },
    querier,
    compactor,
    // Last to start and first to stop: requests are let in when all the rest runs and are finished before it stops.
    {
      name: 'traffic',
      needs: ['http', 'storage', querier.name, compactor.name],
      service: { start: async () => server.open(), stop: () => server.stop() },
    },
  ];
  const group = new ServiceGroup(modules, logger);
  return { group, server };
}

function runtimeConfigService(config: Config, limits: TenantLimits, logger: Logger) {
  const file = config.runtimeConfig === '' ? null : new RuntimeFile(config.runtimeConfig, limits, logger);
  return {
    start: async () => file?.start(config.runtimeConfigReloadPeriodMs),
    stop: async () => file?.stop(),
  };
}
