import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VarveError } from '../../lib/errors/index.js';

/** Longest path of a Unix socket that every system takes. */
const SOCKET_PATH_MAX = 100;

/**
 * Keeps a second process off a data folder. The lock is a Unix socket in the folder that the process listens on: unlike a
 * file with a process number it ends with its process, however that ends, and nobody can be mistaken for its holder.
 */
export class DataLock {
  readonly #server: Server;
  readonly #path: string;

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** @throws VarveError unavailable `data-dir-locked` when another process has the folder */
  static async take(folder: string): Promise<DataLock> {
    mkdirSync(folder, { recursive: true });
    const path = socketPath(realpathSync(folder));
    if (await isHeld(path)) {
      throw new VarveError(
        'unavailable',
        'data-dir-locked',
        `${folder} is in use by another Varve process: stop it, or give this one its own --data-dir`,
      );
    }
    rmSync(path, { force: true });
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    server.unref();
    return new DataLock(server, path);
  }

  async release(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#path, { force: true });
  }
}

function socketPath(folder: string): string {
  const path = join(folder, 'varve.lock');
  if (Buffer.byteLength(path) <= SOCKET_PATH_MAX) return path;
  return join(tmpdir(), `varve-${createHash('sha256').update(folder).digest('hex').slice(0, 32)}.lock`);
}

/** Whether somebody listens. A socket file without a listener is left over from a killed process. */
function isHeld(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
