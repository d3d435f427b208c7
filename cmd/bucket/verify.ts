import { type BlockFile, listBlockFiles } from '../../lib/blocktransfer/index.js';
import { blockPrefix, metaName } from '../../lib/bucketindex/index.js';
import { VarveError } from '../../lib/errors/index.js';
import { type BlockMeta, isBlockName, parseBlockMeta, verifyBlock } from '../../lib/tsdb/block/index.js';
import { bytesOf, parseSelection, type Selection, TEMP_FLAG, tenantsOf, withLocalBlock } from './blocks.js';
import { type Command, type Context, EXIT_OK, EXIT_PROBLEM } from './command.js';
import { Findings, isCorruption } from './findings.js';
import { showBytes, showNumber } from './format.js';
import { Progress } from './progress.js';
import { verifyTenant } from './verify-tenant.js';

/** `varve bucket verify`: everything that can be checked. */
export const VERIFY: Command = {
  name: 'verify',
  synopsis: '[TENANT[/ULID]]',
  summary: 'Check blocks, marks and bucket index; exit code 1 when something is wrong.',
  details: [
    'Of each block: all checksums, the order of symbols, series, labels, chunks and samples, that every reference leads',
    'somewhere, that chunks decode and lie in the times the index gives, counts and files against meta.json. Of each',
    'tenant: partial blocks, marks without blocks and without copies, bucket index against blocks.',
    'Prints a line per problem, object and offset first; of a damaged block the first one. Lines that begin with',
    '"note:" are no problems.',
  ],
  flags: [TEMP_FLAG],
  argumentsMin: 0,
  argumentsMax: 1,
  settings: [],
  isWriting: false,
  hasTarget: false,
  run: verify,
};

async function verify(context: Context): Promise<number> {
  const { source, output } = context;
  const selection = parseSelection(context.args[0]);
  const findings = new Findings(output);
  const tenants = await tenantsOf(source, selection);
  const pending: Selection[] = [];
  for (const tenant of tenants) {
    if (selection.ulid !== '') {
      pending.push(selection);
      continue;
    }
    context.signal.throwIfAborted();
    const { partials } = await verifyTenant(context, tenant, findings);
    for (const ulid of await blocksIn(context, tenant)) {
      if (!partials.has(ulid)) pending.push({ tenant, ulid });
    }
  }
  const progress = new Progress(context, 'verified', pending.length);
  let samples = 0;
  let bytes = 0;
  for (const block of pending) {
    context.signal.throwIfAborted();
    const found = await verifyOne(context, block, findings, progress);
    samples += found.samples;
    bytes += found.bytes;
    progress.addBlock();
  }
  const { problemCount } = findings;
  const checked = `${showNumber(pending.length, 'block')} of ${showNumber(tenants.length, 'tenant')}`;
  const size = `${showNumber(samples, 'sample')}, ${showBytes(bytes)}`;
  const result = problemCount === 0 ? 'no problems' : showNumber(problemCount, 'problem');
  output.print(`${checked} checked, ${size}: ${result}`);
  return problemCount === 0 ? EXIT_OK : EXIT_PROBLEM;
}

async function blocksIn({ source }: Context, tenant: string): Promise<string[]> {
  const { prefixes } = await source.bucket.list(`${tenant}/`, '/');
  return prefixes.map((prefix) => prefix.slice(tenant.length + 1, -1)).filter(isBlockName);
}

/** Checks a block; tells its samples and bytes when it is whole. */
async function verifyOne(
  context: Context,
  block: Selection,
  findings: Findings,
  progress: Progress,
): Promise<{ readonly samples: number; readonly bytes: number }> {
  const { tenant, ulid } = block;
  const prefix = blockPrefix(tenant, ulid);
  const nothing = { samples: 0, bytes: 0 };
  let files: readonly BlockFile[];
  let meta: BlockMeta;
  try {
    files = await listBlockFiles(context.source.bucket, tenant, ulid);
    const name = metaName(tenant, ulid);
    meta = parseBlockMeta(Buffer.from(await context.source.bucket.get(name)).toString('utf8'), name);
  } catch (error) {
    if (isCorruption(error)) findings.corruption(prefix.slice(0, -1), error, prefix.slice(0, -1));
    else if (error instanceof VarveError && /^(?:block-vanished|object-not-found)$/.test(error.code)) {
      await reportMissing(context, prefix, findings);
    } else throw error;
    return nothing;
  }
  if (!checkFiles(prefix, meta, files, findings)) return nothing;
  try {
    const onBytes = (byteCount: number): void => progress.addBytes(byteCount);
    const samples = await withLocalBlock(context, block, files, onBytes, (directory) =>
      verifyContent(prefix.slice(0, -1), directory, findings),
    );
    return samples === null ? nothing : { samples, bytes: bytesOf(files) };
  } catch (error) {
    const isGone = error instanceof VarveError && error.code === 'object-not-found';
    if (!isGone) throw error;
    findings.note(prefix, 'was deleted while it was read');
    return nothing;
  }
}

/** A block without meta.json: one that was listed a moment ago may have been deleted since then. */
async function reportMissing(context: Context, prefix: string, findings: Findings): Promise<void> {
  const { objects } = await context.source.bucket.list(prefix);
  const isNamed = context.args[0]?.includes('/') === true;
  if (objects.length === 0 && isNamed) findings.problem(prefix, 'there is no such block');
  else if (objects.length === 0 || objects.includes(`${prefix}deletion-mark.json`)) {
    findings.note(prefix, 'is being deleted');
  } else findings.problem(prefix, 'partial block: no meta.json');
}

function verifyContent(object: string, directory: string, findings: Findings): number | null {
  try {
    return verifyBlock(directory).sampleCount;
  } catch (error) {
    if (!isCorruption(error)) throw error;
    findings.corruption(object, error, directory);
    return null;
  }
}

/** Checks which files there are; false when the content cannot be read without those that are missing. */
function checkFiles(
  prefix: string,
  meta: BlockMeta,
  files: readonly BlockFile[],
  findings: Findings,
): boolean {
  const before = findings.problemCount;
  const found = new Map(files.map(({ path, byteCount }) => [path, byteCount]));
  const name = `${prefix}meta.json`;
  if (!prefix.endsWith(`/${meta.ulid}/`)) findings.problem(name, `is of block ${meta.ulid}`);
  const segments = [...found.keys()].filter((path) => path.startsWith('chunks/')).sort();
  if (!found.has('index')) findings.problem(`${prefix}index`, 'missing');
  if (segments.length === 0 && (meta.stats.numChunks ?? 0) > 0) {
    findings.problem(`${prefix}chunks/000001`, 'missing');
  }
  for (const [i, path] of segments.entries()) {
    const expected = `chunks/${String(i + 1).padStart(6, '0')}`;
    if (path === expected) continue;
    findings.problem(prefix + expected, `missing, while there is ${path}`);
    break;
  }
  const isReadable = findings.problemCount === before;
  const listed = Array.isArray(meta.thanos?.['files']) ? (meta.thanos['files'] as readonly unknown[]) : [];
  const known = new Set<string>();
  for (const entry of listed) {
    if (typeof entry !== 'object' || entry === null) continue;
    const { rel_path: path, size_bytes: byteCount } = entry as Record<string, unknown>;
    if (typeof path !== 'string') continue;
    known.add(path);
    if (!found.has(path)) {
      if (path !== 'index') findings.problem(prefix + path, 'missing, but meta.json lists it');
    } else if (typeof byteCount === 'number' && byteCount !== found.get(path)) {
      findings.problem(prefix + path, `has ${found.get(path)} bytes, meta.json says ${byteCount}`);
    }
  }
  if (listed.length === 0) return isReadable;
  for (const path of found.keys()) {
    if (!known.has(path) && path !== 'tombstones')
      findings.problem(prefix + path, 'is not listed in meta.json');
  }
  return isReadable;
}
