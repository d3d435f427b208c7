import { z } from 'zod';
import { formatByteSize, formatDuration, parseByteSize, parseDuration } from './duration.js';

/**
 * Definitions of settings. One definition gives the YAML key, the flag, the environment variable, the check with its
 * message, the line in `--help` and the row of the reference page.
 *
 * Keys are camelCase in code and snake_case in YAML. A duration's key ends in `Ms` in code, which YAML leaves out,
 * because there the value carries its unit (`timeoutMs` is written `timeout: 2m`).
 */

export interface SettingFacts {
  readonly kind: string;
  readonly description: string;
  /** What a value may be, in words that complete "must be ...". */
  readonly allowed: string;
  /** The default as a user would write it. */
  readonly fallback: string;
  /** Flag without dashes, or '' to derive it from the path. */
  readonly flag: string;
  readonly isSecret: boolean;
  /** Turns the checked value back into what a user would write in YAML. */
  readonly print: (value: unknown) => unknown;
}

export interface SettingOptions {
  /** Flag without dashes when it isn't the path of the key. */
  readonly flag?: string;
  /** Masked wherever the configuration is printed. */
  readonly isSecret?: boolean;
}

const registry = new WeakMap<z.ZodType, SettingFacts>();
const groups = new WeakMap<z.ZodType, string>();

/** The facts of a setting made by one of the functions below; undefined for anything else. */
export function factsOf(schema: z.ZodType): SettingFacts | undefined {
  return registry.get(schema);
}

/** The heading of a group, or undefined when the schema isn't a group. */
export function groupTitleOf(schema: z.ZodType): string | undefined {
  return groups.get(schema);
}

function define<Value>(
  kind: string,
  fallback: string | number | boolean,
  description: string,
  allowed: string,
  read: (input: unknown) => Value | undefined,
  print: (value: unknown) => unknown,
  options: SettingOptions,
) {
  const schema = z
    .unknown()
    .transform((input, context): Value => {
      const value = read(input);
      if (value !== undefined) return value;
      const shown = options.isSecret === true ? 'that value' : JSON.stringify(input);
      context.issues.push({ code: 'custom', message: `must be ${allowed}, got ${shown}`, input });
      return z.NEVER;
    })
    .prefault(fallback);
  registry.set(schema, {
    kind,
    description,
    allowed,
    fallback: String(fallback),
    flag: options.flag ?? '',
    isSecret: options.isSecret ?? false,
    print,
  });
  return schema;
}

const asIs = (value: unknown) => value;

/** A duration, kept in ms. */
export function duration(fallback: string, description: string, options: SettingOptions = {}) {
  return define(
    'duration',
    fallback,
    description,
    'a duration such as 15s, 2h or 1d12h',
    (input) => parseDuration(String(input)) ?? undefined,
    (value) => formatDuration(value as number),
    options,
  );
}

/** A size in bytes, written with or without a unit. */
export function byteSize(fallback: string, description: string, options: SettingOptions = {}) {
  return define(
    'size',
    fallback,
    description,
    'a size such as 4096, 64KiB or 100MiB',
    (input) => parseByteSize(String(input)) ?? undefined,
    (value) => formatByteSize(value as number),
    options,
  );
}

/** A whole number with bounds. */
export function integer(
  fallback: number,
  description: string,
  options: SettingOptions & { readonly min?: number; readonly max?: number } = {},
) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
  const upper = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return define(
    'integer',
    fallback,
    description,
    `a whole number ${upper}`,
    (input) => {
      const value = typeof input === 'string' && /^-?\d+$/.test(input) ? Number(input) : input;
      return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? value
        : undefined;
    },
    asIs,
    options,
  );
}

/** A number that is not negative. */
export function quantity(fallback: number, description: string, options: SettingOptions = {}) {
  return define(
    'number',
    fallback,
    description,
    'a number of at least 0',
    (input) => {
      const value = typeof input === 'string' && input.trim() !== '' ? Number(input) : input;
      return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
    },
    asIs,
    options,
  );
}

/** `true` or `false`. */
export function boolean(fallback: boolean, description: string, options: SettingOptions = {}) {
  return define(
    'boolean',
    fallback,
    description,
    'true or false',
    (input) => {
      if (input === true || input === 'true') return true;
      return input === false || input === 'false' ? false : undefined;
    },
    asIs,
    options,
  );
}

/** Free text; `check` may refuse it. */
export function text(
  fallback: string,
  description: string,
  options: SettingOptions & { readonly allowed?: string; readonly check?: (value: string) => boolean } = {},
) {
  const { check = () => true, allowed = 'a text' } = options;
  return define(
    'text',
    fallback,
    description,
    allowed,
    (input) => {
      const value = typeof input === 'number' ? String(input) : input;
      return typeof value === 'string' && check(value) ? value : undefined;
    },
    asIs,
    options,
  );
}

/** One of a few words. */
export function choice<const Word extends string>(
  words: readonly Word[],
  fallback: NoInfer<Word>,
  description: string,
  options: SettingOptions = {},
) {
  return define(
    'choice',
    fallback,
    description,
    `one of ${words.join(', ')}`,
    (input) => words.find((word) => word === input),
    asIs,
    options,
  );
}

/** Several of a few words: a YAML list or a text with commas. */
export function wordList<const Word extends string>(
  words: readonly Word[],
  fallback: string,
  description: string,
  options: SettingOptions = {},
) {
  return define(
    'list',
    fallback,
    description,
    `a comma-separated list of ${words.join(', ')}`,
    (input): readonly Word[] | undefined => {
      const items = Array.isArray(input)
        ? input.map(String)
        : typeof input === 'string'
          ? input.split(',')
          : null;
      if (items === null) return undefined;
      const wanted = items.map((item) => item.trim()).filter((item) => item !== '');
      const known = wanted.flatMap((item) => words.filter((word) => word === item));
      return known.length === wanted.length ? known : undefined;
    },
    (value) => [...(value as readonly string[])],
    options,
  );
}

/** `host:port`; an empty host listens on all interfaces. */
export function listenAddress(fallback: string, description: string, options: SettingOptions = {}) {
  return text(fallback, description, {
    ...options,
    allowed: 'host:port, such as 127.0.0.1:9009 or :9009',
    check: (value) => splitListenAddress(value) !== null,
  });
}

/** Host and port of a listen address (`[::1]:80`, `:80`, `host:80`); null when it is none. */
export function splitListenAddress(address: string): { host: string; port: number } | null {
  const found = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:\s]*)):(\d{1,5})$/.exec(address);
  if (found === null || Number(found[3]) > 65535) return null;
  const host = found[1] ?? found[2]!;
  return { host: host === '' ? '::' : host, port: Number(found[3]) };
}

/** Settings under one key. */
export function group<Shape extends Record<string, z.ZodType>>(title: string, shape: Shape) {
  const schema = z.strictObject(shape).prefault({} as never);
  groups.set(schema, title);
  return schema;
}
