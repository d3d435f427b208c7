// Builds what is stale: the kernel with asc, everything else with tsc. `--all` builds regardless.
// A stamp file in dist/ remembers the newest source each part was built from.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const all = process.argv.includes('--all');
const dist = join(root, 'dist');
const assembly = join(root, 'lib/kernel/assembly');

/** Lists the files below a folder whose names pass the filter, with size and time: the identity of a source tree. */
function listSources(folder, accept, skip) {
  const found = [];
  if (!existsSync(folder)) return found;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (skip(path)) continue;
    if (entry.isDirectory()) found.push(...listSources(path, accept, skip));
    else if (accept(entry.name)) {
      const stat = statSync(path);
      found.push(`${relative(root, path)} ${stat.size} ${stat.mtimeMs}`);
    }
  }
  return found;
}

function identity(lists) {
  return lists.flat().sort().join('\n');
}

function isStale(name, now) {
  const stamp = join(dist, `.${name}.stamp`);
  return all || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== now;
}

function run(label, command, args) {
  const started = Date.now();
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error !== undefined || status !== 0) {
    console.error(`build: ${label} failed${error === undefined ? '' : `: ${error.message}`}`);
    process.exit(status ?? 1);
  }
  console.error(`build: ${label} (${Date.now() - started} ms)`);
}

function stamp(name, now) {
  mkdirSync(dist, { recursive: true });
  writeFileSync(join(dist, `.${name}.stamp`), now);
}

const require = createRequire(import.meta.url);
const packageJson = statSync(join(root, 'package.json'));
const configs = [`package.json ${packageJson.size} ${packageJson.mtimeMs}`];

const kernelSources = identity([
  listSources(
    assembly,
    (name) => name.endsWith('.ts'),
    () => false,
  ),
  configs,
]);
if (isStale('kernel', kernelSources) || !existsSync(join(dist, 'lib/kernel/kernel.wasm'))) {
  mkdirSync(join(dist, 'lib/kernel'), { recursive: true });
  const asc = join(dirname(require.resolve('assemblyscript/package.json')), 'bin/asc.js');
  run('kernel (asc)', process.execPath, [
    asc,
    'lib/kernel/assembly/index.ts',
    '-o',
    'dist/lib/kernel/kernel.wasm',
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '16',
    '--maximumMemory',
    '65536',
    '--enable',
    'threads',
    '--enable',
    'simd',
    '--enable',
    'bulk-memory',
    '--use',
    'abort=',
  ]);
  stamp('kernel', kernelSources);
}

const folders = ['lib', 'cmd', 'tools', 'bench', 'e2e', 'sim'].map((name) => join(root, name));
const isSource = (name) => name.endsWith('.ts') || name.endsWith('.json');
const tsSources = identity([
  ...folders.map((folder) => listSources(folder, isSource, (path) => path === assembly)),
  configs,
  listSources(
    root,
    (name) => name === 'tsconfig.json',
    (path) => path !== join(root, 'tsconfig.json'),
  ),
]);
if (isStale('tsc', tsSources)) {
  for (const folder of folders) {
    // Compiled files of deleted sources would still be found by the test runner.
    const out = join(dist, relative(root, folder));
    if (!existsSync(out)) continue;
    for (const path of listCompiled(out)) {
      const source = join(root, relative(dist, path)).replace(/\.js(\.map)?$/, '.ts');
      if (!existsSync(source)) rmSync(path);
    }
  }
  run('typescript (tsc)', process.execPath, [
    join(dirname(require.resolve('typescript/package.json')), 'bin/tsc'),
    '-p',
    '.',
  ]);
  stamp('tsc', tsSources);
}

function listCompiled(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.js(\.map)?$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
