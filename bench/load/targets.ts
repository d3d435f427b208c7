import { join } from 'node:path';
import { type Server, startPrometheus, startVictoria } from '../../e2e/peers.js';
import { makeFolder } from '../../e2e/processes.js';
import { startVarve } from '../../e2e/varve.js';
import { diskBytes } from './usage.js';

export const TARGETS = ['varve', 'victoria', 'prometheus'] as const;
export type TargetName = (typeof TARGETS)[number];

/** A running program that takes remote write and answers PromQL. */
export interface Target {
  readonly name: TargetName;
  readonly server: Server;
  readonly pushUrl: string;
  /** Bytes of everything it keeps on disk now. */
  diskBytes(): number;
  /** Makes it write what it holds as finished blocks or parts; returns the bytes of those alone. */
  compact(): Promise<number>;
}

/** Starts a target with an empty data folder and default settings. */
export async function startTarget(name: TargetName): Promise<Target> {
  switch (name) {
    case 'varve': {
      const server = await startVarve({ folder: makeFolder('bench') });
      return {
        name,
        server,
        pushUrl: server.pushUrl,
        diskBytes: () => diskBytes(server.folder),
        compact: async () => {
          await post(`${server.url}/ingester/flush`);
          return diskBytes(server.bucketDir);
        },
      };
    }
    case 'prometheus': {
      const server = await startPrometheus();
      return {
        name,
        server,
        pushUrl: `${server.url}/api/v1/write`,
        diskBytes: () => diskBytes(server.dataDir),
        compact: async () => {
          await post(`${server.url}/api/v1/admin/tsdb/snapshot`);
          return diskBytes(join(server.dataDir, 'snapshots'));
        },
      };
    }
    case 'victoria': {
      const server = await startVictoria();
      return {
        name,
        server,
        pushUrl: `${server.url}/api/v1/write`,
        diskBytes: () => diskBytes(server.dataDir),
        compact: async () => {
          await post(`${server.url}/internal/force_flush`);
          await post(`${server.url}/internal/force_merge`);
          return diskBytes(server.dataDir);
        },
      };
    }
  }
}

async function post(url: string): Promise<void> {
  const response = await fetch(url, { method: 'POST' });
  const text = await response.text();
  if (!response.ok) throw new Error(`POST ${url} answered ${response.status}: ${text.slice(0, 300)}`);
}
