import { readFile, stat } from 'node:fs/promises';
import { messageOf } from '../errors/index.js';
import { parseOverrides, type TenantLimits } from '../limits/index.js';
import type { Logger } from '../telemetry/index.js';

/**
 * Keeps the limits per tenant equal to a file. The file is looked at by time instead of watched, because the usual
 * place is a mounted Kubernetes ConfigMap, whose links are swapped in ways watchers miss. A file that is missing or
 * wrong while running leaves the last good limits in force.
 */
export class RuntimeFile {
  readonly #path: string;
  readonly #limits: TenantLimits;
  readonly #logger: Logger;
  #identity = '';
  #timer: NodeJS.Timeout | null = null;

  constructor(path: string, limits: TenantLimits, logger: Logger) {
    this.#path = path;
    this.#limits = limits;
    this.#logger = logger;
  }

  /** Reads the file once and then every `periodMs`. @throws when the first read fails */
  async start(periodMs: number): Promise<void> {
    await this.reload();
    this.#timer = setInterval(() => {
      this.reload().catch((error: unknown) => {
        this.#logger.error(
          { file: this.#path, error: messageOf(error) },
          'runtime file not loaded, old limits stay',
        );
      });
    }, periodMs);
    this.#timer.unref();
  }

  /** Reads the file if it changed since the last read. @returns whether it had */
  async reload(): Promise<boolean> {
    const { mtimeMs, size, ino } = await stat(this.#path);
    const identity = `${mtimeMs} ${size} ${ino}`;
    if (identity === this.#identity) return false;
    // Remembered before parsing: a wrong file is reported once, not every few seconds.
    this.#identity = identity;
    const overrides = parseOverrides(await readFile(this.#path, 'utf8'), this.#limits.defaults, this.#path);
    this.#limits.replaceOverrides(overrides);
    this.#logger.info({ file: this.#path, tenants: overrides.size }, 'runtime file loaded');
    return true;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}
