import type { z } from 'zod';
import { VarveError } from '../errors/index.js';
import { factsOf, groupTitleOf, type SettingFacts } from './setting.js';

/** One setting with every name it goes by. */
export interface SettingEntry {
  /** Keys from the root, as in code. */
  readonly path: readonly string[];
  /** `query.lookback_delta` */
  readonly yamlPath: string;
  /** `query-lookback-delta`, without dashes in front. */
  readonly flag: string;
  /** `VARVE_QUERY_LOOKBACK_DELTA` */
  readonly environment: string;
  /** Title of the enclosing group, '' at the root. */
  readonly groupTitle: string;
  readonly facts: SettingFacts;
}

/** A node of a settings tree: a group made by `group()`, or any object schema whose members are settings. */
export type SettingTree = z.ZodType;

/**
 * The YAML spelling of a key in code: snake_case, without the unit of durations. A number begins a word
 * (`retention_5m`), except behind a single letter (`s3`).
 */
export function yamlKey(key: string): string {
  return key.replace(/Ms$/, '').replace(/[A-Z]|(?<=[a-z]{2})\d+/g, (found) => `_${found.toLowerCase()}`);
}

function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  const inner = schema as unknown as { unwrap?: () => z.ZodType; shape?: Record<string, z.ZodType> };
  if (inner.shape !== undefined) return inner.shape;
  return groupTitleOf(schema) === undefined ? undefined : shapeOf(inner.unwrap!());
}

/** All settings of a tree in order of definition. */
export function listSettings(schema: SettingTree): readonly SettingEntry[] {
  const entries: SettingEntry[] = [];
  const walk = (node: z.ZodType, path: readonly string[], title: string) => {
    const facts = factsOf(node);
    if (facts !== undefined) {
      const yamlPath = path.map(yamlKey).join('.');
      const flag = facts.flag === '' ? yamlPath.replace(/[._]/g, '-') : facts.flag;
      const environment = `VARVE_${flag.replaceAll('-', '_').toUpperCase()}`;
      entries.push({ path, yamlPath, flag, environment, groupTitle: title, facts });
      return;
    }
    for (const [key, child] of Object.entries(shapeOf(node) ?? {})) {
      walk(child, [...path, key], groupTitleOf(child) ?? title);
    }
  };
  walk(schema, [], groupTitleOf(schema) ?? '');
  return entries;
}

/**
 * Renames YAML keys to the keys of the code and leaves the values alone.
 * @param where names the source in messages: a file, `overrides.tenant-a`
 * @throws VarveError client `config-unknown-key`, naming the keys that exist beside the unknown one
 */
export function renameKeys(schema: SettingTree, input: unknown, where: string): Record<string, unknown> {
  const shape = shapeOf(schema) ?? {};
  if (input === null || input === undefined) return {};
  if (typeof input !== 'object' || Array.isArray(input)) {
    throw new VarveError('client', 'config-invalid', `${where}: must be a map of settings`);
  }
  const byYamlKey = new Map(Object.keys(shape).map((key) => [yamlKey(key), key]));
  const renamed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(input)) {
    const key = byYamlKey.get(name);
    if (key === undefined) {
      const known = [...byYamlKey.keys()].join(', ');
      throw new VarveError(
        'client',
        'config-unknown-key',
        `${where}: unknown field "${name}"; allowed: ${known}`,
      );
    }
    const child = shape[key]!;
    renamed[key] = factsOf(child) === undefined ? renameKeys(child, value, `${where}: ${name}`) : value;
    if (renamed[key] === null) delete renamed[key];
  }
  return renamed;
}

/** The checked values as a user would write them in YAML; secrets masked, empty secrets left empty. */
export function printSettings(schema: SettingTree, value: unknown): Record<string, unknown> {
  const printed: Record<string, unknown> = {};
  const values = value as Readonly<Record<string, unknown>>;
  for (const [key, child] of Object.entries(shapeOf(schema) ?? {})) {
    const facts = factsOf(child);
    const inner = values[key];
    if (facts === undefined) printed[yamlKey(key)] = printSettings(child, inner);
    else if (facts.isSecret && inner !== '') printed[yamlKey(key)] = '********';
    else printed[yamlKey(key)] = facts.print(inner);
  }
  return printed;
}

/**
 * Checks renamed input and fills in defaults.
 * @throws VarveError client `config-invalid`, one line per bad value, each naming the YAML path
 */
export function checkSettings<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  where: string,
): z.output<Schema> {
  const checked = schema.safeParse(input);
  if (checked.success) return checked.data;
  const lines = checked.error.issues.map((issue) => {
    const path = issue.path.map((key) => yamlKey(String(key))).join('.');
    return `${where}: ${path} ${issue.message}`;
  });
  throw new VarveError('client', 'config-invalid', lines.join('\n'));
}
