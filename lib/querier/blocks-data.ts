import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TIME_MS_MAX, TIME_MS_MIN } from './params.js';
import type { SourceProvider } from './sources.js';

/** Data of status/tsdb/blocks: what stands in the `meta.json` of every block of a tenant, oldest first. */
export async function blocksData(provider: SourceProvider, tenant: string): Promise<string> {
  const snapshot = provider.snapshot(tenant, TIME_MS_MIN, TIME_MS_MAX);
  try {
    const blocks = snapshot.sources.filter((source) => source.kind === 'block');
    blocks.sort((a, b) => a.minTimeMs - b.minTimeMs || (a.ulid < b.ulid ? -1 : 1));
    const metas = await Promise.all(
      blocks.map(async ({ directory }) => {
        const meta = JSON.parse(await readFile(join(directory, 'meta.json'), 'utf8')) as Record<
          string,
          unknown
        >;
        const { ulid, minTime, maxTime, stats, compaction, version } = meta;
        return { ulid, minTime, maxTime, stats, compaction, version };
      }),
    );
    return JSON.stringify({ blocks: metas });
  } finally {
    snapshot.release();
  }
}
