import type { Readable } from 'node:stream';
import { VarveError } from '../errors/index.js';

/** What is known of an object without reading it. */
export interface ObjectStat {
  readonly byteCount: number;
  /** Last change, ms since the epoch. */
  readonly modifiedMs: number;
}

/** One page-less answer to `list`: everything below a prefix. Both sorted by UTF-16 code units. */
export interface ObjectList {
  /** Full names of objects. */
  readonly objects: readonly string[];
  /** With a delimiter: the distinct beginnings up to and with the next delimiter behind the prefix. */
  readonly prefixes: readonly string[];
}

/** What to store: bytes, a local file that is streamed, or a stream that is read to its end. */
export type ObjectSource = Uint8Array | { readonly path: string } | Readable;

/**
 * An object store, as little of it as Varve needs. Objects appear whole or not at all, replace each other, and are
 * visible to every reader once `put` has returned. Names are relative paths with `/`.
 *
 * Failures are VarveErrors: `object-not-found` (client), `object-name` (client), `object-range` (client),
 * `bucket-unavailable` (unavailable: passing), `bucket-refused` (unavailable until an operator corrects settings or rights).
 */
export interface Bucket {
  /** The whole object. */
  get(name: string): Promise<Uint8Array>;
  /** Bytes `offset .. offset + length`; fewer when the object ends before. @throws `object-range` behind its end. */
  getRange(name: string, offset: number, length: number): Promise<Uint8Array>;
  /** Stores an object durably. */
  put(name: string, source: ObjectSource): Promise<void>;
  /**
   * Stores an object unless there is one of that name; tells whether it did. Of several at once exactly one does, as far
   * as the store knows conditional writes (Amazon S3, MinIO and folders do; a store that ignores the condition may let
   * several win).
   */
  putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean>;
  /** Lists names that begin with a prefix; with a delimiter ('/') only one level of them. */
  list(prefix: string, delimiter?: '/'): Promise<ObjectList>;
  /** Deletes an object; one that is not there is fine. */
  delete(name: string): Promise<void>;
  /** Null when there is no such object. */
  stat(name: string): Promise<ObjectStat | null>;
  /** Frees the space of uploads that began before a time (ms since the epoch) and never ended; tells how many. */
  removeAbandonedUploads(beforeMs: number): Promise<number>;
  /** Lets connections go. */
  close(): void;
}

const NAME_BYTES_MAX = 1024;

/**
 * Refuses names that could leave the bucket or that not every store can hold: empty, absolute, with empty, `.` or
 * `..` parts, with backslashes or control characters, or longer than 1024 bytes.
 */
export function checkObjectName(name: string): void {
  const parts = name.split('/');
  const isBad =
    parts.some((part) => part === '' || part === '.' || part === '..') ||
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\\\u0000-\u001f\u007f]/.test(name) ||
    Buffer.byteLength(name, 'utf8') > NAME_BYTES_MAX;
  if (isBad) {
    throw new VarveError(
      'client',
      'object-name',
      `${JSON.stringify(name.slice(0, 200))} is not an object name`,
    );
  }
}

/** Like `checkObjectName`, for the beginning of names: may be empty or end in `/`. */
export function checkObjectPrefix(prefix: string): void {
  if (prefix === '') return;
  checkObjectName(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}

/** The error for an object that is not there. */
export function objectNotFound(name: string, cause?: unknown): VarveError {
  return new VarveError('client', 'object-not-found', `there is no object ${name}`, {
    ...(cause === undefined ? {} : { cause }),
    details: { object: name },
  });
}

/** Whether an error says that an object is not there. */
export function isObjectNotFound(error: unknown): boolean {
  return error instanceof VarveError && error.code === 'object-not-found';
}

/** The error for a range that begins behind the end of an object. */
export function objectRange(name: string, offset: number, byteCount: number): VarveError {
  return new VarveError(
    'client',
    'object-range',
    `${name} has ${byteCount} bytes, none at offset ${offset}`,
    {
      details: { object: name, offset, byteCount },
    },
  );
}
