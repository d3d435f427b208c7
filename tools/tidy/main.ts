import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkImports, findCycle } from './imports.js';
import { SAME_RANK_PAIRS } from './layers.js';
import { checkFocus, checkLength, checkLock, checkMarkers, checkPaths, checkTypes } from './rules.js';
import type { Finding, SourceFile } from './source.js';

/** Checks the repository's own rules: `npm run tidy`. Prints `path:line: what`, ends with 1 when there is anything. */

const RULES = [checkImports, checkMarkers, checkTypes, checkFocus, checkLength, checkPaths, checkLock];
const TEXT = /\.(ts|tsx|mjs|js|json|md|sh|ya?ml|proto|toml|txt)$|(^|\/)(bin\/|\.ci\/|Dockerfile|LICENSE)/;

let root = dirname(fileURLToPath(import.meta.url));
while (!existsSync(join(root, 'package.json'))) root = dirname(root);

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
});
const files: SourceFile[] = listed
  .split('\n')
  .filter((path) => TEXT.test(path) && !path.startsWith('testdata/') && existsSync(join(root, path)))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

const findings: Finding[] = files.flatMap((file) => RULES.flatMap((rule) => rule(file)));
const cycle = findCycle(SAME_RANK_PAIRS);
if (cycle !== null) {
  findings.push({
    path: 'tools/tidy/layers.ts',
    line: 1,
    text: `the pairs form a cycle: ${cycle.join(' → ')}`,
  });
}
for (const { path, line, text } of findings) process.stdout.write(`${path}:${line}: ${text}\n`);
process.stderr.write(`tidy: ${files.length} files, ${findings.length} findings\n`);
process.exitCode = findings.length > 0 ? 1 : 0;
