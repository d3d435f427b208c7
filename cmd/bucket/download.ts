import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { downloadBlock, listBlockFiles } from '../../lib/blocktransfer/index.js';
import { VarveError } from '../../lib/errors/index.js';
import { readBlockMeta } from '../../lib/tsdb/block/index.js';
import { bytesOf, parseBlock } from './blocks.js';
import { type Command, type Context, EXIT_OK } from './command.js';
import { showBytes } from './format.js';
import { Progress } from './progress.js';

/** `varve bucket download`: a block as a local directory. */
export const DOWNLOAD: Command = {
  name: 'download',
  synopsis: 'TENANT/ULID DIRECTORY',
  summary: 'Copy a block to DIRECTORY/ULID.',
  details: [
    'DIRECTORY is then one that promtool tsdb list, analyze and dump read, and Prometheus as its data directory. It is made',
    'if it is not there, with an empty folder wal, which promtool wants.',
  ],
  flags: [],
  argumentsMin: 2,
  argumentsMax: 2,
  settings: [],
  isWriting: false,
  hasTarget: false,
  run: async (context) => {
    await download(context);
    return EXIT_OK;
  },
};

async function download(context: Context): Promise<void> {
  const { source, output, signal } = context;
  const { tenant, ulid } = parseBlock(context.args[0]!);
  const parent = resolve(context.args[1]!);
  const target = join(parent, ulid);
  if (existsSync(target)) {
    throw new VarveError('client', 'block-present', `${target} is there already`, {
      details: { file: target },
    });
  }
  const files = await listBlockFiles(source.bucket, tenant, ulid);
  await mkdir(join(parent, 'wal'), { recursive: true });
  // Under its own name only when it is whole.
  const folder = await mkdtemp(join(parent, `${ulid}.tmp-download-`));
  try {
    const progress = new Progress(context, 'fetched', 1);
    const onBytes = (byteCount: number): void => progress.addBytes(byteCount);
    await rename(
      await downloadBlock(source.bucket, { tenant, ulid, files }, folder, signal, onBytes),
      target,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  output.print(`${target}: ${showBytes(bytesOf(files))}`);
  if ((readBlockMeta(target).thanos?.downsample.resolution ?? 0) > 0) {
    output.tell('this is a downsampled block: promtool and Prometheus cannot read its chunks');
  }
}
