import { messageOf } from '../errors/index.js';
import type { Logger } from '../telemetry/index.js';

/** A part of the process that is started once and stopped once. */
export interface Service {
  /** Resolves when the part is ready for those that need it. */
  start(): Promise<void>;
  /** Finishes what was accepted and releases everything. Called once, also when a later part failed to start. */
  stop(): Promise<void>;
}

/** A row of the table of modules. */
export interface Module {
  readonly name: string;
  /** Names of the modules that must run before this one. */
  readonly needs: readonly string[];
  readonly service: Service;
}

/** `starting` until every module runs, `stopping` from the first call of `stop` on. */
export type GroupState = 'new' | 'starting' | 'running' | 'stopping' | 'stopped';

/** Starts modules after what they need and stops them in the opposite order. */
export class ServiceGroup {
  readonly #order: readonly Module[];
  readonly #logger: Logger;
  readonly #started: Module[] = [];
  #state: GroupState = 'new';

  /** @throws when a module needs one that doesn't exist, or itself by a detour */
  constructor(modules: readonly Module[], logger: Logger) {
    this.#order = orderModules(modules);
    this.#logger = logger;
  }

  get state(): GroupState {
    return this.#state;
  }

  /** Names in order of start. */
  get order(): readonly string[] {
    return this.#order.map((module) => module.name);
  }

  /** When one module fails, those already started are stopped and its error is thrown. */
  async start(): Promise<void> {
    this.#state = 'starting';
    for (const module of this.#order) {
      // A stop may be asked for while a slow module, such as a log replay, is starting.
      if (this.#state !== 'starting') return;
      const startedMs = performance.now();
      this.#started.push(module);
      try {
        await module.service.start();
      } catch (error) {
        this.#logger.error({ module: module.name, error: messageOf(error) }, 'module did not start');
        await this.stop();
        throw error;
      }
      const durationMs = Math.round(performance.now() - startedMs);
      this.#logger.info({ module: module.name, durationMs }, 'module started');
    }
    if (this.#state === 'starting') this.#state = 'running';
  }

  /** Stops every started module even if one fails. @returns whether all stopped cleanly */
  async stop(): Promise<boolean> {
    this.#state = 'stopping';
    let clean = true;
    for (let module = this.#started.pop(); module !== undefined; module = this.#started.pop()) {
      try {
        await module.service.stop();
      } catch (error) {
        clean = false;
        this.#logger.error({ module: module.name, error: messageOf(error) }, 'module did not stop cleanly');
      }
    }
    this.#state = 'stopped';
    return clean;
  }
}

function orderModules(modules: readonly Module[]): readonly Module[] {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const order: Module[] = [];
  const visit = (name: string, trail: readonly string[]) => {
    const module = byName.get(name);
    if (module === undefined)
      throw new Error(`module ${trail.at(-1) ?? ''} needs ${name}, which does not exist`);
    if (trail.includes(name)) throw new Error(`modules need each other: ${[...trail, name].join(' -> ')}`);
    if (order.includes(module)) return;
    for (const needed of module.needs) visit(needed, [...trail, name]);
    order.push(module);
  };
  for (const module of modules) visit(module.name, []);
  return order;
}
