import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { objectNotFound } from '../bucket/index.js';
import { CorruptionError } from '../errors/index.js';
import {
  ByteReader,
  ByteWriter,
  checkNames,
  crc32c,
  crcMismatch,
  FileByteSource,
  INDEX_HEADER_BYTES,
  INDEX_MAGIC,
  IndexReader,
  type IndexToc,
  PostingsTable,
  parseToc,
  SymbolTable,
  TOC_BYTES,
} from '../tsdb/index/index.js';
import type { QueryReads } from './query-reads.js';
import type { RangeFetcher } from './range-fetcher.js';

/**
 * The index-header: a local copy of the parts of an index that every query needs, its symbols and its postings offset
 * table, in the file format of Thanos and Cortex (docs/formats/index-header.md). It is made of a block's index with a few range
 * requests, may be deleted at any time, and is made again when it is missing or damaged.
 */

const MAGIC = 0xbaaa_d792;
const VERSION = 1;
/** Magic, version, version of the index, offset of the postings offset table in the index. */
const HEAD_BYTES = 14;
/** Offsets of the two copies and the checksum. */
const END_BYTES = 20;
/** The end of an index is read first; often it holds all of the table. */
const TAIL_BYTES = 64 * 1024;
/** Pages of the header file that are kept in memory per block. */
const FILE_CACHE_BYTES = 1024 * 1024;

/** What an index-header tells. */
export interface IndexHeader {
  /** Reads symbols, label names and values; postings and series only `over` a source of the index. */
  readonly reader: IndexReader;
  /** Size of the index object. */
  readonly indexBytes: number;
}

/**
 * Opens the index-header of an index, made anew unless it is there and whole.
 * @param object the index in the bucket
 * @throws CorruptionError that names the object, or what the bucket throws
 */
export async function openIndexHeader(
  fetcher: RangeFetcher,
  object: string,
  path: string,
  reads: QueryReads,
): Promise<IndexHeader> {
  const found = openWhole(path);
  if (found !== null) return found;
  await buildIndexHeader(fetcher, object, path, reads);
  try {
    return readIndexHeader(path);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    rmSync(path, { force: true });
    throw new CorruptionError(error.code, `${object}: its index-header is damaged: ${error.message}`, {
      cause: error,
      details: { ...error.details, object },
    });
  }
}

/** Null when there is none, or none that is whole. */
function openWhole(path: string): IndexHeader | null {
  try {
    return readIndexHeader(path);
  } catch (error) {
    if (error instanceof CorruptionError) return null;
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT')
      return null;
    throw error;
  }
}

/** Reads an index-header file, all checksums included. @throws CorruptionError, or the file system's error */
export function readIndexHeader(path: string): IndexHeader {
  const source = new FileByteSource(path, FILE_CACHE_BYTES);
  try {
    if (source.size < HEAD_BYTES + TOC_BYTES + END_BYTES) throw badHeader(path, 0, 'is too short');
    const head = new ByteReader(path, source.read(0, HEAD_BYTES));
    if (head.be32() !== MAGIC || head.u8() !== VERSION) throw badHeader(path, 0, 'is no index-header');
    head.skip(1);
    const listsEnd = head.be64();
    const { symbolsAt, tableAt } = readEnd(source);
    const indexBytes = listsEnd + source.size - END_BYTES - tableAt;
    const tocAt = source.size - END_BYTES - TOC_BYTES;
    const toc = parseToc(source.read(tocAt, TOC_BYTES), path, indexBytes - TOC_BYTES);
    if (toc.postingsTable !== listsEnd) throw badHeader(path, 6, 'contradicts its TOC');
    const symbols = SymbolTable.open(source, symbolsAt);
    const table = PostingsTable.open(source, tableAt, listsEnd);
    checkNames(path, tableAt, symbols, table);
    return { reader: new IndexReader(source, toc, symbols, table), indexBytes };
  } catch (error) {
    source.close();
    throw error;
  }
}

function readEnd(source: FileByteSource): { symbolsAt: number; tableAt: number } {
  const at = source.size - END_BYTES;
  const end = new ByteReader(source.name, source.read(at, END_BYTES), at);
  const found = crc32c(end.bytes, 0, END_BYTES - 4);
  const symbolsAt = end.be64();
  const tableAt = end.be64();
  const expected = end.be32();
  if (found !== expected)
    throw crcMismatch(source.name, 'index-header TOC', source.size - 4, expected, found);
  if (symbolsAt !== HEAD_BYTES || tableAt < symbolsAt || tableAt > at - TOC_BYTES) {
    throw badHeader(source.name, at, 'has impossible offsets');
  }
  return { symbolsAt, tableAt };
}

/**
 * Makes the index-header of an index in a bucket. The file appears whole or not at all.
 * @throws CorruptionError that names the object when its header or TOC is wrong, or what the bucket throws
 */
export async function buildIndexHeader(
  fetcher: RangeFetcher,
  object: string,
  path: string,
  reads: QueryReads,
): Promise<void> {
  const stat = await fetcher.run(reads, 'header', () => fetcher.bucket.stat(object));
  if (stat === null) throw objectNotFound(object);
  const size = stat.byteCount;
  if (size < INDEX_HEADER_BYTES + TOC_BYTES) throw badIndex(object, 0, `of ${size} bytes is too short`);
  const tailAt = Math.max(0, size - TAIL_BYTES);
  const tail = await fetchExactly(fetcher, object, tailAt, size - tailAt, reads);
  const tocAt = size - TOC_BYTES;
  const toc = parseToc(tail.subarray(tocAt - tailAt), object, tocAt);
  checkOrder(toc, object, tocAt);

  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = await open(temporary, 'wx');
  try {
    const tableAt = HEAD_BYTES + toc.series - toc.symbols;
    const version = await copyBegin(fetcher, object, toc, file, reads);
    await copyRange(fetcher, object, toc.postingsTable, tailAt, file, tableAt, reads);
    const fromTail = Math.max(toc.postingsTable, tailAt);
    await writeAt(file, tail.subarray(fromTail - tailAt), tableAt + fromTail - toc.postingsTable);
    const out = new ByteWriter(HEAD_BYTES);
    out.be32(MAGIC);
    out.u8(VERSION);
    out.u8(version);
    out.be64(toc.postingsTable);
    await writeAt(file, out.view(), 0);
    out.clear();
    out.be64(HEAD_BYTES);
    out.be64(tableAt);
    out.be32(crc32c(out.bytes, 0, out.length));
    await writeAt(file, out.view(), tableAt + size - toc.postingsTable);
    // Not synced: what a crash leaves is recognised by its checksums.
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Copies the symbols, and checks the header before them. Returns the version of the index. */
async function copyBegin(
  fetcher: RangeFetcher,
  object: string,
  toc: IndexToc,
  file: FileHandle,
  reads: QueryReads,
): Promise<number> {
  const end = Math.min(toc.series, fetcher.options.partBytes);
  const first = await fetchExactly(fetcher, object, 0, Math.max(end, INDEX_HEADER_BYTES), reads);
  const head = new ByteReader(object, first);
  const magic = head.be32();
  const version = head.u8();
  if (magic !== INDEX_MAGIC || (version !== 2 && version !== 3)) {
    throw badIndex(object, 0, `has magic ${magic.toString(16)} and version ${version}`);
  }
  await writeAt(file, first.subarray(toc.symbols, end), HEAD_BYTES);
  const rest = Math.max(end, toc.symbols);
  await copyRange(fetcher, object, rest, toc.series, file, HEAD_BYTES + rest - toc.symbols, reads);
  return version;
}

/** Copies a range of an object into a file, in parts that are under way side by side. */
async function copyRange(
  fetcher: RangeFetcher,
  object: string,
  from: number,
  to: number,
  file: FileHandle,
  target: number,
  reads: QueryReads,
): Promise<void> {
  const { partBytes } = fetcher.options;
  const parts: Promise<void>[] = [];
  for (let at = from; at < to; at += partBytes) {
    const length = Math.min(partBytes, to - at);
    parts.push(
      fetchExactly(fetcher, object, at, length, reads).then((bytes) =>
        writeAt(file, bytes, target + at - from),
      ),
    );
  }
  // All of them, so that none still writes when the file is closed.
  const failed = (await Promise.allSettled(parts)).find((part) => part.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function fetchExactly(
  fetcher: RangeFetcher,
  object: string,
  offset: number,
  length: number,
  reads: QueryReads,
): Promise<Uint8Array> {
  const bytes = await fetcher.fetch(object, offset, length, reads, 'header');
  if (bytes.length === length) return bytes;
  throw new CorruptionError(
    'object-truncated',
    `${object}: ${length} bytes expected at offset ${offset}, ${bytes.length} found`,
    { details: { object, offset, expected: length, found: bytes.length } },
  );
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

function checkOrder(toc: IndexToc, object: string, tocAt: number): void {
  const { symbols, series, postings, postingsTable } = toc;
  if (symbols >= INDEX_HEADER_BYTES && symbols < series && series <= postings && postings <= postingsTable)
    return;
  throw badIndex(object, tocAt, 'has sections out of order');
}

function badIndex(object: string, offset: number, what: string): CorruptionError {
  return new CorruptionError('index-header', `${object}: the index ${what}`, { details: { object, offset } });
}

function badHeader(file: string, offset: number, what: string): CorruptionError {
  return new CorruptionError('index-header-file', `${file}: the file ${what}`, { details: { file, offset } });
}
