import { type BlockFile, copyBlock } from '../../lib/blocktransfer/index.js';
import { eachOf, listTenant, MARK_KINDS, readMark, writeMark } from '../../lib/bucketindex/index.js';
import { VarveError } from '../../lib/errors/index.js';
import { isValidTenant } from '../../lib/tenant/index.js';
import { bytesOf, filesIfThere, parseSelection, type Selection, tenantsOf } from './blocks.js';
import { type Command, type Context, EXIT_OK, EXIT_PROBLEM, usageError } from './command.js';
import { showBytes, showNumber } from './format.js';
import { Progress } from './progress.js';

/** `varve bucket copy`: blocks from one bucket to another. */
export const COPY: Command = {
  name: 'copy',
  synopsis: '[TENANT[/ULID]] --to=URL',
  summary: 'Copy blocks (one, those of a tenant, all) from --bucket to another bucket.',
  details: [
    'meta.json is stored last and as it is, so the blocks are the same, and a copy that was interrupted can be started',
    'again: what is there already is left. Marks no-compact and no-downsample go along; blocks marked for deletion are',
    'left out. The bucket index is not copied: the compactor of the target makes it.',
    '',
    'Each flag --s3-… and --bucket-flat-tenant has a counterpart --to-s3-…, --to-bucket-flat-tenant for the target. Those of',
    '--s3-… that are not given are the same for both; --to-bucket-flat-tenant is empty unless given. Credentials: both use',
    'the usual AWS chain; if TO_AWS_ACCESS_KEY_ID and TO_AWS_SECRET_ACCESS_KEY (and TO_AWS_SESSION_TOKEN) are set in the',
    'environment, the target uses these instead.',
  ],
  flags: [{ name: 'to-tenant', value: 'TENANT', description: 'Name of the tenant in the target.' }],
  argumentsMin: 0,
  argumentsMax: 1,
  settings: [],
  isWriting: false,
  hasTarget: true,
  run: copy,
};

/** Blocks copied at once: pieces and parts of each, some 50 MiB, are in memory. */
const BLOCKS_MAX = 4;
const LISTINGS_MAX = 8;

interface Job extends Selection {
  readonly files: readonly BlockFile[];
}

/** Failures of one block, after which the others are gone on with. */
const OF_ONE_BLOCK = new Set(['block-differs', 'block-vanished', 'object-not-found', 'object-changed']);

async function copy(context: Context): Promise<number> {
  const { source, output, signal } = context;
  const target = context.target!;
  const selection = parseSelection(context.args[0]);
  const renamed = context.flags.get('to-tenant')?.at(-1) ?? '';
  if (renamed !== '' && !isValidTenant(renamed)) throw usageError(`${JSON.stringify(renamed)} is no tenant`);
  if (renamed !== '' && selection.tenant === '') throw usageError('--to-tenant needs a TENANT to copy');
  const isSame = source.title === target.title && source.settings.flatTenant === target.settings.flatTenant;
  if (isSame && (renamed === '' || renamed === selection.tenant)) {
    throw usageError(`source and target are both ${source.title}`);
  }
  const jobs = await collect(context, selection);
  const bytesTotal = jobs.reduce((sum, { files }) => sum + bytesOf(files), 0);
  output.tell(
    `copying ${showNumber(jobs.length, 'block')}, ${showBytes(bytesTotal)}, from ${source.title} to ${target.title}` +
      (target.settings.credentials === undefined ? '' : ' (with credentials of its own)'),
  );
  const progress = new Progress(context, 'copied', jobs.length);
  const counts = { copied: 0, present: 0, failed: 0 };
  await eachOf(jobs, BLOCKS_MAX, async ({ tenant, ulid, files }) => {
    signal.throwIfAborted();
    const to = { bucket: target.bucket, tenant: renamed || tenant, ulid };
    const from = { bucket: source.bucket, tenant, ulid };
    try {
      const result = await copyBlock(from, files, to, signal, (byteCount) => progress.addBytes(byteCount));
      counts[result]++;
      await copyMarks(context, { tenant, ulid }, to.tenant);
    } catch (error) {
      if (!(error instanceof VarveError && OF_ONE_BLOCK.has(error.code))) throw error;
      output.print(`${tenant}/${ulid}: ${error.message}`);
      counts.failed++;
    }
    progress.addBlock();
  });
  output.print(
    `${showNumber(counts.copied, 'block')} copied (${showBytes(progress.bytes)}), ` +
      `${counts.present} there already, ${counts.failed} failed`,
  );
  if (counts.copied > 0)
    output.print("Queries see them when the target's compactor has updated the bucket index.");
  return counts.failed === 0 ? EXIT_OK : EXIT_PROBLEM;
}

async function collect(context: Context, selection: Selection): Promise<Job[]> {
  const { source, output } = context;
  const jobs: Job[] = [];
  for (const tenant of await tenantsOf(source, selection)) {
    context.signal.throwIfAborted();
    const { index, marked, partials } = await listTenant(source.bucket, tenant, null, context.clock.nowMs());
    const wanted = index.blocks.filter(({ ulid }) => selection.ulid === '' || ulid === selection.ulid);
    if (selection.ulid !== '' && wanted.length === 0) {
      throw new VarveError('client', 'block-unknown', `there is no block ${tenant}/${selection.ulid}`);
    }
    const kept = wanted.filter(({ ulid }) => !marked.deletion.has(ulid));
    const left = wanted.length - kept.length;
    if (left > 0) output.tell(`${tenant}: ${showNumber(left, 'block')} marked for deletion left out`);
    if (partials.size > 0 && selection.ulid === '') {
      output.tell(`${tenant}: ${showNumber(partials.size, 'partial block')} left out`);
    }
    await eachOf(kept, LISTINGS_MAX, async ({ ulid }) => {
      jobs.push({ tenant, ulid, files: await filesIfThere(source, tenant, ulid) });
    });
  }
  return jobs;
}

/** Brings marks along that say how a block is to be treated. */
async function copyMarks({ source, target }: Context, block: Selection, to: string): Promise<void> {
  for (const kind of MARK_KINDS) {
    if (kind === 'deletion') continue;
    const mark = await readMark(source.bucket, block.tenant, block.ulid, kind);
    if (mark !== null) await writeMark(target!.bucket, to, kind, mark);
  }
}
