import { configSchema } from '../../lib/config/index.js';
import { listSettings, type SettingEntry } from '../../lib/settings/index.js';
import { type Command, usageError } from './command.js';

/** A command line taken apart. */
export interface ParsedLine {
  readonly args: readonly string[];
  readonly flags: ReadonlyMap<string, readonly string[]>;
  /** Flags for the configuration of the bucket, as the server takes them. */
  readonly configArgs: readonly string[];
  /** The same for the bucket of `--to`: what differs from the former. */
  readonly targetArgs: readonly string[];
}

const BUCKET_FLAG = /^(?:bucket|bucket-flat-tenant|s3-.+)$/;
const TARGET_FLAG = /^to-(bucket-flat-tenant|s3-.+)$/;
const SETTINGS: ReadonlyMap<string, SettingEntry> = new Map(
  listSettings(configSchema).map((entry) => [entry.flag, entry]),
);

/** The settings of the server that a command takes as flags. */
export function settingsOf(command: Command): SettingEntry[] {
  return [...SETTINGS.values()].filter(
    ({ flag }) => BUCKET_FLAG.test(flag) || command.settings.includes(flag),
  );
}

/**
 * Reads what follows the name of a command: arguments and flags in any order, `--flag=value`, `--flag value` and
 * switches; after `--` only arguments.
 * @throws VarveError client `usage`
 */
export function parseLine(command: Command, words: readonly string[]): ParsedLine {
  const args: string[] = [];
  const flags = new Map<string, string[]>();
  const configArgs: string[] = [];
  const targetArgs: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--') {
      args.push(...words.slice(i + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      args.push(word);
      continue;
    }
    const [, name = '', given] = /^--([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(word) ?? [];
    const kind = kindOf(command, name);
    if (kind === null) throw usageError(`unknown flag ${word.split('=')[0]!}; try ${helpOf(command)}`);
    if (kind.isSwitch) {
      if (given !== undefined) throw usageError(`flag --${name} takes no value`);
      flags.set(name, ['']);
      continue;
    }
    const value = given ?? words[++i];
    if (value === undefined) throw usageError(`flag --${name} needs a value`);
    if (kind.setting === '') flags.set(name, [...(flags.get(name) ?? []), value]);
    else (kind.isTarget ? targetArgs : configArgs).push(`--${kind.setting}=${value}`);
  }
  const { argumentsMin, argumentsMax } = command;
  if (args.length < argumentsMin || args.length > argumentsMax) {
    throw usageError(`usage: varve bucket ${command.name} ${command.synopsis}; try ${helpOf(command)}`);
  }
  if (command.hasTarget && !targetArgs.some((arg) => arg.startsWith('--bucket='))) {
    throw usageError(`${command.name} needs --to=URL; try ${helpOf(command)}`);
  }
  return { args, flags, configArgs, targetArgs };
}

interface FlagKind {
  readonly isSwitch: boolean;
  /** The server's flag; '' for one of the command's own. */
  readonly setting: string;
  readonly isTarget: boolean;
}

function kindOf(command: Command, name: string): FlagKind | null {
  const own = command.flags.find((flag) => flag.name === name);
  if (own !== undefined) return { isSwitch: own.value === '', setting: '', isTarget: false };
  if (command.hasTarget) {
    if (name === 'to') return { isSwitch: false, setting: 'bucket', isTarget: true };
    const setting = TARGET_FLAG.exec(name)?.[1];
    if (setting !== undefined && SETTINGS.has(setting)) return { isSwitch: false, setting, isTarget: true };
  }
  const isKnown = name === 'config' || settingsOf(command).some(({ flag }) => flag === name);
  return isKnown ? { isSwitch: false, setting: name, isTarget: false } : null;
}

function helpOf(command: Command): string {
  return `varve bucket ${command.name} --help`;
}
