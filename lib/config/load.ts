import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { messageOf, VarveError } from '../errors/index.js';
import { checkSettings, listSettings, renameKeys, type SettingEntry } from '../settings/index.js';
import { type Config, configSchema } from './schema.js';

/** What the command line asks for. */
export type CommandLine =
  | { readonly command: 'run'; readonly config: Config; readonly configFile: string }
  | { readonly command: 'help' | 'version' | 'reference' };

const ENTRIES = listSettings(configSchema);
const BY_FLAG = new Map(ENTRIES.map((entry) => [entry.flag, entry]));

/**
 * Builds the configuration: flag before environment before file before default.
 * @param args      arguments without node and script
 * @param readFile  tests hand in their own
 * @throws VarveError client `config-…` with a message that names the field, flag or variable and what is allowed
 */
export function loadConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): CommandLine {
  const flags = parseFlags(args);
  for (const command of ['help', 'version'] as const) if (flags.has(command)) return { command };
  if (flags.has('help-reference')) return { command: 'reference' };

  const input: Record<string, unknown> = {};
  const configFile = flags.get('config') ?? environment['VARVE_CONFIG'] ?? '';
  if (configFile !== '') Object.assign(input, readConfigFile(configFile, readFile));
  for (const entry of ENTRIES) {
    const value = environment[entry.environment];
    if (value === undefined) continue;
    checkOne(entry, value, `environment variable ${entry.environment}`);
    assign(input, entry.path, value);
  }
  for (const [flag, value] of flags) {
    if (flag === 'config') continue;
    const entry = BY_FLAG.get(flag)!;
    checkOne(entry, value, `flag --${flag}`);
    assign(input, entry.path, value);
  }
  return { command: 'run', config: checkSettings(configSchema, input, 'configuration'), configFile };
}

function readConfigFile(path: string, readFile: (path: string) => string): Record<string, unknown> {
  let document: unknown;
  try {
    document = parse(readFile(path), { maxAliasCount: 100 });
  } catch (error) {
    const message = `config file ${path}: ${messageOf(error)}`;
    throw new VarveError('client', 'config-unreadable', message, { cause: error });
  }
  const renamed = renameKeys(configSchema, document, `config file ${path}`);
  // Checked on its own first, so that a message can name the file.
  checkSettings(configSchema, renamed, `config file ${path}`);
  return renamed;
}

/** `--flag=value`, `--flag value`, `--switch` and `--no-switch`; later ones win. */
function parseFlags(args: readonly string[]): Map<string, string> {
  const flags = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '-h') {
      flags.set('help', 'true');
      continue;
    }
    const found = /^--([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(arg);
    if (found === null) {
      throw new VarveError(
        'client',
        'config-unknown-flag',
        `unexpected argument ${JSON.stringify(arg)}; try --help`,
      );
    }
    const name = found[1]!;
    let value = found[2];
    if (name === 'help' || name === 'version' || name === 'help-reference') {
      flags.set(name, 'true');
      continue;
    }
    const negated = name.startsWith('no-') ? BY_FLAG.get(name.slice(3)) : undefined;
    if (negated?.facts.kind === 'boolean' && value === undefined) {
      flags.set(negated.flag, 'false');
      continue;
    }
    const entry = BY_FLAG.get(name);
    if (entry === undefined && name !== 'config') {
      const near = nearestFlag(name);
      const hint = near === '' ? 'try --help' : `did you mean --${near}?`;
      throw new VarveError('client', 'config-unknown-flag', `unknown flag --${name}; ${hint}`);
    }
    if (value === undefined) {
      const next = args[i + 1];
      if (entry?.facts.kind === 'boolean' && next !== 'true' && next !== 'false') value = 'true';
      else if (next === undefined || next.startsWith('--')) {
        const allowed = entry === undefined ? 'a file' : entry.facts.allowed;
        throw new VarveError('client', 'config-invalid', `flag --${name} needs a value: ${allowed}`);
      } else {
        value = next;
        i++;
      }
    }
    flags.set(name, value);
  }
  return flags;
}

function checkOne(entry: SettingEntry, value: string, where: string): void {
  const input: Record<string, unknown> = {};
  assign(input, entry.path, value);
  checkSettings(configSchema, input, where);
}

function assign(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let node = target;
  for (const key of path.slice(0, -1)) node = (node[key] ??= {}) as Record<string, unknown>;
  node[path.at(-1)!] = value;
}

/** The known flag with the fewest single-letter edits, if they are few enough to be a slip. */
function nearestFlag(name: string): string {
  let best = '';
  let bestDistance = Math.min(4, name.length / 2);
  for (const flag of ['config', 'help', 'version', ...BY_FLAG.keys()]) {
    const distance = editDistance(name, flag);
    if (distance < bestDistance) {
      best = flag;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
