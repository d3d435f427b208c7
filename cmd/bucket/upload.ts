import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { compareWithBucket, publishBlock, uploadBlock } from '../../lib/blocktransfer/index.js';
import { blockPrefix, markCopyName, markName } from '../../lib/bucketindex/index.js';
import { parseBlockRanges } from '../../lib/config/index.js';
import { VarveError } from '../../lib/errors/index.js';
import { formatDuration } from '../../lib/settings/index.js';
import { isValidTenant } from '../../lib/tenant/index.js';
import {
  type BlockMeta,
  isBlockName,
  listBlocks,
  readBlockMeta,
  readTombstones,
  verifyBlock,
} from '../../lib/tsdb/block/index.js';
import { type Command, type Context, EXIT_OK, EXIT_PROBLEM, usageError } from './command.js';
import { Findings, isCorruption } from './findings.js';
import { showBytes, showNumber, showSpan, showTime } from './format.js';
import { Progress } from './progress.js';

/** `varve bucket upload`: local blocks into the bucket. */
export const UPLOAD: Command = {
  name: 'upload',
  synopsis: 'TENANT DIRECTORY…',
  summary: 'Store local blocks in the bucket, such as promtool tsdb create-blocks-from makes.',
  details: [
    'A DIRECTORY is a block, or a data directory with several. Each block is verified first and refused when it is damaged,',
    'longer than the largest of compactor.block_ranges (it would never be merged), has deleted samples that the bucket',
    'would show again, or is there with other content. meta.json is stored last; in the bucket it gets a section thanos',
    'with source "varve", resolution 0 and the labels of --label, unless it has one. Starting again leaves what is there.',
    'Nothing else is changed: the compactor finds the blocks and puts them into the bucket index.',
  ],
  flags: [
    {
      name: 'label',
      value: 'NAME=VALUE',
      description:
        'External label for meta.json; may be repeated. Blocks with different ones are never merged with each other.',
    },
    { name: 'force', value: '', description: 'Also blocks that are too long or have deleted samples.' },
  ],
  argumentsMin: 2,
  argumentsMax: Number.POSITIVE_INFINITY,
  settings: ['compactor-block-ranges'],
  isWriting: true,
  hasTarget: false,
  run: upload,
};

async function upload(context: Context): Promise<number> {
  const { args, flags, output, source, config } = context;
  const [tenant = '', ...folders] = args;
  if (!isValidTenant(tenant)) throw usageError(`${JSON.stringify(tenant)} is not the name of a tenant`);
  const labels = parseLabels(flags.get('label') ?? []);
  const directories = [...new Set(folders.flatMap((folder) => blocksBelow(resolve(folder))))];
  output.tell(`uploading ${showNumber(directories.length, 'block')} of ${tenant} to ${source.title}`);
  const progress = new Progress(context, 'uploaded', directories.length);
  const counts = { uploaded: 0, present: 0, refused: 0 };
  for (const directory of directories) {
    context.signal.throwIfAborted();
    counts[await uploadOne(context, tenant, directory, labels, progress)]++;
    progress.addBlock();
  }
  output.print(
    `${showNumber(counts.uploaded, 'block')} uploaded (${showBytes(progress.bytes)}), ` +
      `${counts.present} there already, ${counts.refused} refused`,
  );
  if (counts.uploaded > 0) {
    const interval = formatDuration(config.compactor.cleanupIntervalMs);
    output.print(
      `Queries see them when a compactor has put them into the bucket index, which it does every ` +
        `compactor.cleanup_interval (${interval}).`,
    );
  }
  return counts.refused === 0 ? EXIT_OK : EXIT_PROBLEM;
}

function parseLabels(texts: readonly string[]): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const text of texts) {
    const [, name, value] = /^([a-zA-Z_][a-zA-Z0-9_]*)=(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw usageError(`flag --label must be NAME=VALUE, got ${JSON.stringify(text)}`);
    }
    labels[name] = value;
  }
  return labels;
}

/** The block that a directory is, or those in it. */
function blocksBelow(directory: string): string[] {
  if (existsSync(join(directory, 'meta.json'))) return [directory];
  const names = existsSync(directory) ? listBlocks(directory) : [];
  if (names.length > 0) return names.map((name) => join(directory, name));
  throw new VarveError('client', 'no-blocks', `${directory} is no block and has none`, {
    details: { file: directory },
  });
}

async function uploadOne(
  context: Context,
  tenant: string,
  directory: string,
  labels: Readonly<Record<string, string>>,
  progress: Progress,
): Promise<'uploaded' | 'present' | 'refused'> {
  const { source, output, signal, clock } = context;
  let meta: BlockMeta;
  try {
    meta = readBlockMeta(directory);
    verifyBlock(directory);
    const refusal = await refusalOf(context, tenant, directory, meta);
    if (refusal === 'present') {
      output.print(`${meta.ulid}: there already`);
      return 'present';
    }
    if (refusal !== '') {
      output.print(`${directory}: ${refusal}`);
      return 'refused';
    }
  } catch (error) {
    if (!isCorruption(error)) throw error;
    new Findings(output).corruption(directory, error, directory);
    return 'refused';
  }
  const before = progress.bytes;
  const files = await uploadBlock(source.bucket, tenant, directory, meta.ulid, signal, (byteCount) =>
    progress.addBytes(byteCount),
  );
  const thanos = meta.thanos ?? { version: 1, labels, downsample: { resolution: 0 }, source: 'varve' };
  if (meta.thanos !== undefined && Object.keys(labels).length > 0) {
    output.tell(`${meta.ulid}: keeps the external labels it has, ${JSON.stringify(meta.thanos.labels)}`);
  }
  await publishBlock(source.bucket, tenant, { ...meta, thanos }, files, clock.nowMs());
  const span = `${showTime(meta.minTime)} + ${showSpan(meta.maxTime - meta.minTime)}`;
  const samples = showNumber(meta.stats.numSamples ?? 0, 'sample');
  output.print(`${meta.ulid}: uploaded, ${span}, ${samples}, ${showBytes(progress.bytes - before)}`);
  return 'uploaded';
}

/** Why a block is not stored; '' when it is to be. */
async function refusalOf(
  { source, config, flags }: Context,
  tenant: string,
  directory: string,
  meta: BlockMeta,
): Promise<string> {
  const { bucket } = source;
  const { ulid } = meta;
  const folder = basename(directory);
  if (isBlockName(folder) && folder !== ulid) return `meta.json is of block ${ulid}`;
  if ((meta.stats.numSamples ?? 0) === 0) return 'has no samples';
  for (const name of [markCopyName(tenant, ulid, 'deletion'), markName(tenant, ulid, 'deletion')]) {
    if ((await bucket.stat(name)) !== null) return `the bucket is to delete a block of that name (${name})`;
  }
  const found = await compareWithBucket(bucket, tenant, directory, meta);
  if (found === 'same') return 'present';
  if (found !== 'absent') {
    return `${blockPrefix(tenant, ulid)} is there already, with other content: ${found.difference}`;
  }
  if (flags.has('force')) return '';
  const longestMs = parseBlockRanges(config.compactor.blockRanges)?.at(-1) ?? 0;
  const spanMs = meta.maxTime - meta.minTime;
  if (spanMs > longestMs && (meta.thanos?.downsample.resolution ?? 0) === 0) {
    return `spans ${showSpan(spanMs)}, more than the largest of compactor.block_ranges, ${formatDuration(longestMs)}; --force stores it nevertheless`;
  }
  if (readTombstones(directory).size > 0) {
    return "has deleted samples (tombstones) that the bucket would show again: let Prometheus' clean_tombstones remove them, or --force";
  }
  return '';
}
