import { systemClock } from '../../lib/clock/index.js';
import { type Config, RuntimeFile } from '../../lib/config/index.js';
import { HttpServer, mountPush } from '../../lib/http/index.js';
import { TenantLimits } from '../../lib/limits/index.js';
import type { BuildInfo } from '../../lib/querier/index.js';
import { type Module, ServiceGroup } from '../../lib/service/index.js';
import { type Logger, Metrics } from '../../lib/telemetry/index.js';
import { buildCompactor } from '../compactor/role.js';
import { buildQuerier } from '../querier/role.js';
import { mountAbsent } from './absent-routes.js';
import { mountAdmin } from './admin-routes.js';
import { bucketSettings, buildBucketStorage } from './bucket-storage.js';
import { buildMembership } from './cluster.js';
import { buildStorage, localBlocksFolder, type Storage, type StorageParts } from './storage.js';
import { VERSION } from './version.js';

/** Replaceable parts, for tests and for other storage. */
export interface ProcessOptions {
  readonly buildStorage?: (parts: StorageParts) => Promise<Storage>;
  readonly queryWorkerScript?: URL;
  readonly withProcessMetrics?: boolean;
}

/** A process that is wired but not started. */
export interface VarveProcess {
  readonly group: ServiceGroup;
  readonly server: HttpServer;
}

/** Wires the parts of a process. The table at the end is the order of start; a stop goes through it backwards. */
export async function buildProcess(
  config: Config,
  logger: Logger,
  options: ProcessOptions = {},
): Promise<VarveProcess> {
  const metrics = new Metrics({ withProcessMetrics: options.withProcessMetrics ?? true, version: VERSION });
  const limits = new TenantLimits(config.limits);
  const server = new HttpServer(config.http, metrics, logger);
  const storageParts: StorageParts = { config, limits, metrics, logger, clock: systemClock };
  const build = config.target.includes('all') ? buildStorage : buildBucketStorage;
  const storage = await (options.buildStorage ?? build)(storageParts);

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
  const common = { config, server, limits, metrics, logger, clock: systemClock };
  const { bucket, sources, catalog, deletions } = storage;
  const membership = buildMembership({ ...common, bucket });
  const compactor = buildCompactor({
    ...common,
    bucket,
    membership,
    onIndex: (tenant) => catalog?.invalidate(tenant),
  });
  const workerScript =
    options.queryWorkerScript ?? new URL('../../lib/querier/query-worker.js', import.meta.url);
  const roles: readonly Module[] = [
    ...(sources === null || catalog === null || deletions === null
      ? []
      : [
          buildQuerier({
            ...common,
            provider: sources,
            catalog,
            deletions,
            objects: bucket,
            rewriteNow: compactor.wake,
            bucket: bucketSettings(config),
            localBlocks: localBlocksFolder(config),
            workerScript,
            buildInfo: buildInfo(config),
          }),
        ]),
    ...compactor.modules,
  ];
  mountAdmin({ server, config, limits, metrics, storage, state: () => group.state });
  mountAbsent(server, storage);

  const modules: readonly Module[] = [
    // Listens from the start, so that health can be asked during a long replay; other routes answer 503 until then.
    { name: 'http', needs: [], service: server },
    { name: 'runtime-config', needs: [], service: runtimeConfigService(config, limits, logger) },
    { name: 'storage', needs: ['runtime-config'], service: storage },
    // Its name may be kept in the folder that must be locked first.
    { name: 'membership', needs: ['storage', 'compactor-folder'], service: membership },
    ...roles,
    // Last to start and first to stop: requests are let in when all the rest runs and are finished before it stops.
    {
      name: 'traffic',
      needs: ['http', 'storage', ...roles.map(({ name }) => name)],
      service: { start: async () => server.open(), stop: () => server.stop() },
    },
  ];
  const group = new ServiceGroup(modules, logger);
  return { group, server };
}

function buildInfo(config: Config): BuildInfo {
  return {
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
  };
}

function runtimeConfigService(config: Config, limits: TenantLimits, logger: Logger) {
  const file = config.runtimeConfig === '' ? null : new RuntimeFile(config.runtimeConfig, limits, logger);
  return {
    start: async () => file?.start(config.runtimeConfigReloadPeriodMs),
    stop: async () => file?.stop(),
  };
}
