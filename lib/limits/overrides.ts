import { parse } from 'yaml';
import { messageOf, VarveError } from '../errors/index.js';
import { checkSettings, printSettings, renameKeys } from '../settings/index.js';
import { type Limits, limitsSchema } from './limits.js';

/** Who asks for limits: always the present ones, so keep the provider, not the answer. */
export interface LimitsProvider {
  of(tenant: string): Limits;
}

/**
 * Reads the runtime file:
 *
 *     overrides:
 *       tenant-a:
 *         max_label_names_per_series: 100
 *
 * @returns tenant to the limits that hold for it, defaults filled in
 * @throws VarveError client `config-invalid` or `config-unknown-key`, naming file, tenant and field
 */
export function parseOverrides(
  yamlText: string,
  defaults: Limits,
  where: string,
): ReadonlyMap<string, Limits> {
  let document: unknown;
  try {
    document = parse(yamlText, { maxAliasCount: 100 });
  } catch (error) {
    throw new VarveError('client', 'config-invalid', `${where}: not YAML: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const root = asMap(document ?? {}, where);
  for (const key of Object.keys(root)) {
    if (key !== 'overrides') {
      throw new VarveError(
        'client',
        'config-unknown-key',
        `${where}: unknown field "${key}"; allowed: overrides`,
      );
    }
  }
  const found = new Map<string, Limits>();
  for (const [tenant, values] of Object.entries(asMap(root['overrides'] ?? {}, `${where}: overrides`))) {
    const place = `${where}: overrides.${tenant}`;
    const own = renameKeys(limitsSchema, values, place);
    const base = renameKeys(limitsSchema, printSettings(limitsSchema, defaults), place);
    found.set(tenant, checkSettings(limitsSchema, { ...base, ...own }, place));
  }
  return found;
}

function asMap(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new VarveError('client', 'config-invalid', `${where}: must be a map`);
}

/** Limits that can be replaced while the process runs. */
export class TenantLimits implements LimitsProvider {
  readonly #defaults: Limits;
  #overrides: ReadonlyMap<string, Limits> = new Map();

  constructor(defaults: Limits) {
    this.#defaults = defaults;
  }

  get defaults(): Limits {
    return this.#defaults;
  }

  get overrides(): ReadonlyMap<string, Limits> {
    return this.#overrides;
  }

  of(tenant: string): Limits {
    return this.#overrides.get(tenant) ?? this.#defaults;
  }

  /** Makes a whole new set of overrides hold from now on. */
  replaceOverrides(overrides: ReadonlyMap<string, Limits>): void {
    this.#overrides = overrides;
  }
}
