import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Compacts blocks and dies at the n-th call that changes the disk, a write with half of its bytes done:
 * `node crash-child.js N DIRECTORY ULID SOURCE...`. With N = 0 it lives and prints how many such calls there are.
 */

const [count = '0', directory = '', ulid = '', ...sources] = process.argv.slice(2);
const deadline = Number(count);
let calls = 0;

function dieInTime(onDeath?: () => void): void {
  if (++calls !== deadline) return;
  onDeath?.();
  process.kill(process.pid, 'SIGKILL');
}

const { writeSync } = fs;
fs.writeSync = ((fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => {
  dieInTime(() => writeSync(fd, bytes, offset, Math.floor(length / 2), position));
  return writeSync(fd, bytes, offset, length, position);
}) as typeof writeSync;
for (const name of ['openSync', 'mkdirSync', 'renameSync', 'fsyncSync', 'closeSync', 'rmSync'] as const) {
  const call = fs[name] as (...parameters: unknown[]) => unknown;
  Object.assign(fs, {
    [name]: (...parameters: unknown[]) => {
      dieInTime();
      return call(...parameters);
    },
  });
}
syncBuiltinESMExports();
const { compactBlocks } = await import('../index.js');
calls = 0;
await compactBlocks(sources, { directory, ulid, segmentBytesMax: 500 });
process.stdout.write(String(calls));
