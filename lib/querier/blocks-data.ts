import { isObjectNotFound } from '../bucket/index.js';
import { eachOf } from '../bucketindex/index.js';
import { TIME_MS_MAX, TIME_MS_MIN } from './params.js';
import type { SourceProvider } from './sources.js';

/** Requests to the bucket at once. */
const REQUESTS_MAX = 16;

/** Data of status/tsdb/blocks: what stands in the `meta.json` of every raw block of a tenant, oldest first. */
export async function blocksData(provider: SourceProvider, tenant: string): Promise<string> {
  const snapshot = await provider.snapshot(tenant, TIME_MS_MIN, TIME_MS_MAX);
  try {
    const blocks = snapshot.sources
      .filter((source) => source.kind === 'block')
      .filter(({ resolutionMs }) => resolutionMs === 0)
      .sort((a, b) => a.minTimeMs - b.minTimeMs || (a.ulid < b.ulid ? -1 : 1));
    const metas = new Map<string, unknown>();
    await eachOf(blocks, REQUESTS_MAX, async (block) => {
      try {
        const text = Buffer.from(await provider.blockMeta(block)).toString();
        const { ulid, minTime, maxTime, stats, compaction, version } = JSON.parse(text);
        metas.set(block.ulid, { ulid, minTime, maxTime, stats, compaction, version });
      } catch (error) {
        if (!isObjectNotFound(error)) throw error;
      }
    });
    return JSON.stringify({ blocks: blocks.flatMap(({ ulid }) => metas.get(ulid) ?? []) });
  } finally {
    snapshot.release();
  }
}
