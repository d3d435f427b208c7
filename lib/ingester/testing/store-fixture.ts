import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../clock/index.js';
import { createLogger } from '../../telemetry/index.js';
import type { CutBlock } from '../../tsdb/head/index.js';
import { TenantStore } from '../tenant-store.js';

/** Tenant stores on real folders, for tests. */

export const RANGE_MS = 7_200_000;

export interface StoreSettings {
  readonly clock: Clock;
  readonly windowMs?: number;
  readonly segmentBytesMax?: number;
  readonly onBlocks?: (blocks: readonly CutBlock[]) => Promise<void>;
}

/** A store whose log stands in `log` and whose blocks stand in `blocks` below a folder. */
export function makeStore(folder: string, settings: StoreSettings): TenantStore {
  return new TenantStore({
    tenant: 't',
    directory: join(folder, 'log'),
    blockDirectory: join(folder, 'blocks'),
    blockRangeMs: RANGE_MS,
    outOfOrderWindowMs: settings.windowMs ?? 0,
    headMemoryBytesMax: 256 * 2 ** 20,
    sync: 'always',
    syncIntervalMs: 1000,
    segmentBytesMax: settings.segmentBytesMax ?? 2 ** 22,
    clock: settings.clock,
    logger: createLogger({ level: 'fatal' }),
    onBlocks: async (blocks) => settings.onBlocks?.(blocks),
    onCommit: () => {},
  });
}

/** Like cpSync, which ends the process in some releases of Node when a folder goes away under it. */
export function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isDirectory()) copyFolder(join(from, entry.name), join(to, entry.name));
    else copyFileSync(join(from, entry.name), join(to, entry.name));
  }
}

/** Copies the log, then the blocks, as another thread goes on with them; begins anew when a file goes away under it. */
export function copyAsItIs(from: string, to: string): void {
  for (;;) {
    try {
      for (const part of ['log', 'blocks']) copyFolder(join(from, part), join(to, part));
      return;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
      rmSync(to, { recursive: true, force: true });
    }
  }
}
