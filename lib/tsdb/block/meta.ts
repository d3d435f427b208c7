import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { decodeTime } from 'ulid';
import { CorruptionError, messageOf } from '../../errors/index.js';

/** Counts over one block; absent means 0. */
export interface BlockStats {
  readonly numSamples?: number;
  readonly numFloatSamples?: number;
  readonly numHistogramSamples?: number;
  readonly numSeries?: number;
  readonly numChunks?: number;
  readonly numTombstones?: number;
}

export interface BlockParent {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
}

export interface BlockCompaction {
  /** 1 for a block cut from a head, else one above its highest parent. */
  readonly level: number;
  /** All level 1 ancestors, sorted; a level 1 block lists itself. */
  readonly sources: readonly string[];
  readonly deletable?: boolean;
  readonly parents?: readonly BlockParent[];
  readonly failed?: boolean;
  readonly hints?: readonly string[];
}

/** What Thanos and Cortex add to meta.json. Fields not named here are kept as they are. */
export interface ThanosMeta {
  readonly version?: number;
  /** External labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** Resolution in ms: 0 raw, 300000, 3600000. */
  readonly downsample: { readonly resolution: number };
  readonly source: string;
  readonly [field: string]: unknown;
}

/** meta.json of a block, in the names of the file (docs/formats). Times are ms. */
export interface BlockMeta {
  readonly ulid: string;
  /** Inclusive. */
  readonly minTime: number;
  /** Exclusive. */
  readonly maxTime: number;
  readonly stats: BlockStats;
  readonly compaction: BlockCompaction;
  readonly version: 1;
  readonly thanos?: ThanosMeta;
}

export const META_FILE = 'meta.json';
const ULID_PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Whether a name is a block's: strictly a ULID in upper case. */
export function isBlockName(name: string): boolean {
  return ULID_PATTERN.test(name);
}

/** When the block of that name was created, ms; not the time of its data. */
export function blockCreationTime(name: string): number {
  return decodeTime(name);
}

/**
 * Reads the text of a meta.json. Unknown fields are dropped outside the thanos section and kept inside it.
 * @throws CorruptionError `block-meta` that names the field.
 */
export function parseBlockMeta(text: string, file: string): BlockMeta {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw badMeta(file, messageOf(error));
  }
  const root = new Fields(json, file, '');
  if (root.number('version') !== 1)
    throw badMeta(file, `version is ${String(root.number('version'))}, not 1`);
  const ulid = root.string('ulid');
  if (!isBlockName(ulid)) throw badMeta(file, `ulid ${JSON.stringify(ulid)} is not a ULID`);
  const minTime = root.number('minTime');
  const maxTime = root.number('maxTime');
  if (minTime > maxTime) throw badMeta(file, `minTime ${minTime} is above maxTime ${maxTime}`);
  const meta: BlockMeta = {
    ulid,
    minTime,
    maxTime,
    stats: parseStats(root.optionalObject('stats')),
    compaction: parseCompaction(root.object('compaction')),
    version: 1,
  };
  const thanos = root.optionalObject('thanos');
  return thanos === null ? meta : { ...meta, thanos: parseThanos(thanos) };
}

/** Reads meta.json of a block directory. @throws CorruptionError when it is missing or wrong. */
export function readBlockMeta(directory: string): BlockMeta {
  const file = join(directory, META_FILE);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw badMeta(file, messageOf(error));
  }
  return parseBlockMeta(text, file);
}

/** The text of a meta.json: one tab of indentation and no newline at the end, as Prometheus writes it. */
export function encodeBlockMeta(meta: BlockMeta): string {
  return JSON.stringify(meta, null, '\t');
}

/** Writes meta.json by way of a temporary file, synced. The caller syncs the directory. */
export function writeBlockMeta(directory: string, meta: BlockMeta): void {
  const file = join(directory, META_FILE);
  writeFileSynced(`${file}.tmp`, Buffer.from(encodeBlockMeta(meta), 'utf8'));
  renameSync(`${file}.tmp`, file);
}

/** Creates or replaces a small file and fsyncs it. */
export function writeFileSynced(file: string, bytes: Uint8Array): void {
  const fd = openSync(file, 'w');
  try {
    let done = 0;
    while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function parseStats(fields: Fields | null): BlockStats {
  const stats: Record<string, number> = {};
  if (fields === null) return stats;
  for (const name of [
    'numSamples',
    'numFloatSamples',
    'numHistogramSamples',
    'numSeries',
    'numChunks',
    'numTombstones',
  ]) {
    const value = fields.optionalNumber(name);
    if (value !== null) stats[name] = value;
  }
  return stats;
}

function parseCompaction(fields: Fields): BlockCompaction {
  const parents = fields.optionalArray('parents');
  const hints = fields.optionalArray('hints');
  return {
    level: fields.number('level'),
    sources: (fields.optionalArray('sources') ?? []).map((item, i) => fields.textItem(item, `sources[${i}]`)),
    ...(fields.optionalBoolean('deletable') ? { deletable: true } : {}),
    ...(parents === null ? {} : { parents: parents.map((item, i) => fields.parent(item, `parents[${i}]`)) }),
    ...(fields.optionalBoolean('failed') ? { failed: true } : {}),
    ...(hints === null ? {} : { hints: hints.map((item, i) => fields.textItem(item, `hints[${i}]`)) }),
  };
}

function parseThanos(fields: Fields): ThanosMeta {
  const version = fields.optionalNumber('version');
  if (version !== null && version !== 1) throw fields.bad(`version is ${version}, not 1`);
  const labels: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields.optionalObject('labels')?.values ?? {})) {
    labels[name] = fields.textItem(value, `labels.${name}`);
  }
  return {
    ...fields.values,
    labels,
    downsample: { resolution: fields.optionalObject('downsample')?.optionalNumber('resolution') ?? 0 },
    source: typeof fields.values['source'] === 'string' ? fields.values['source'] : '',
  };
}

/** A JSON object whose fields are read with their types. */
class Fields {
  readonly values: Readonly<Record<string, unknown>>;
  readonly #file: string;
  readonly #path: string;

  constructor(json: unknown, file: string, path: string) {
    this.#file = file;
    this.#path = path;
    if (typeof json !== 'object' || json === null || Array.isArray(json)) throw this.bad('is not an object');
    this.values = json as Record<string, unknown>;
  }

  bad(message: string): CorruptionError {
    return badMeta(this.#file, `${this.#path === '' ? 'the file' : this.#path} ${message}`);
  }

  string(name: string): string {
    return this.textItem(this.values[name], name);
  }

  textItem(item: unknown, name: string): string {
    if (typeof item !== 'string') throw this.bad(`has no string ${name}`);
    return item;
  }

  number(name: string): number {
    const value = this.values[name];
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.bad(`has no integer ${name}`);
    return value;
  }

  optionalNumber(name: string): number | null {
    return this.values[name] === undefined || this.values[name] === null ? null : this.number(name);
  }

  optionalBoolean(name: string): boolean {
    return this.values[name] === true;
  }

  object(name: string): Fields {
    return new Fields(this.values[name], this.#file, this.#path === '' ? name : `${this.#path}.${name}`);
  }

  optionalObject(name: string): Fields | null {
    return this.values[name] === undefined || this.values[name] === null ? null : this.object(name);
  }

  optionalArray(name: string): readonly unknown[] | null {
    const value = this.values[name];
    if (value === undefined || value === null) return null;
    if (!Array.isArray(value)) throw this.bad(`has no list ${name}`);
    return value;
  }

  parent(item: unknown, name: string): BlockParent {
    const fields = new Fields(item, this.#file, `${this.#path}.${name}`);
    return {
      ulid: fields.string('ulid'),
      minTime: fields.number('minTime'),
      maxTime: fields.number('maxTime'),
    };
  }
}

function badMeta(file: string, message: string): CorruptionError {
  return new CorruptionError('block-meta', `${file}: ${message}`, { details: { file } });
}
