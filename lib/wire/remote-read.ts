import { VarveError } from '../errors/index.js';
import type { LabelSet } from '../labels/index.js';
import { encodeHistogram } from './encode-remote-write1.js';
import { readMessage } from './protobuf-reader.js';
import type { WriteHistogram } from './remote-write1.js';

/**
 * Remote read: the request, and the two forms of its answer.
 *
 *   ReadRequest         { queries 1 repeated Query; accepted_response_types 2 repeated enum }
 *   Query               { start_timestamp_ms 1, end_timestamp_ms 2 int64; matchers 3 repeated LabelMatcher; hints 4 }
 *   LabelMatcher        { type 1 enum; name 2, value 3 string }
 *   ReadResponse        { results 1 repeated QueryResult }      QueryResult { timeseries 1 repeated TimeSeries }
 *   ChunkedReadResponse { chunked_series 1 repeated ChunkedSeries; query_index 2 int64 }
 *   ChunkedSeries       { labels 1 repeated Label; chunks 2 repeated Chunk }
 *   Chunk               { min_time_ms 1, max_time_ms 2 int64; type 3 enum; data 4 bytes }
 */

export const READ_RESPONSE_TYPE = { samples: 0, streamedXorChunks: 1 } as const;

export const READ_MATCH_TYPES = ['=', '!=', '=~', '!~'] as const;

export interface ReadMatcher {
  readonly type: (typeof READ_MATCH_TYPES)[number];
  readonly name: string;
  readonly value: string;
}

export interface ReadQuery {
  /** Both inclusive. */
  readonly startMs: number;
  readonly endMs: number;
  readonly matchers: readonly ReadMatcher[];
}

export interface ReadRequest {
  readonly queries: readonly ReadQuery[];
  /** In the order of the client's preference. */
  readonly acceptedTypes: readonly number[];
}

/** @throws VarveError client `protobuf-malformed` or `remote-read-matcher` */
export function parseReadRequest(bytes: Uint8Array): ReadRequest {
  const messages: Uint8Array[] = [];
  const acceptedTypes: number[] = [];
  readMessage('ReadRequest', bytes, (field) => {
    if (field.number === 1) messages.push(field.bytes());
    else if (field.number === 2) acceptedTypes.push(...field.unsigneds());
    else field.skip();
  });
  return { queries: messages.map(parseQuery), acceptedTypes };
}

function parseQuery(bytes: Uint8Array): ReadQuery {
  let [startMs, endMs] = [0, 0];
  const matchers: Uint8Array[] = [];
  readMessage('Query', bytes, (field) => {
    if (field.number === 1) startMs = field.signed();
    else if (field.number === 2) endMs = field.signed();
    else if (field.number === 3) matchers.push(field.bytes());
    else field.skip();
  });
  return { startMs, endMs, matchers: matchers.map(parseMatcher) };
}

function parseMatcher(bytes: Uint8Array): ReadMatcher {
  let [kind, name, value] = [0, '', ''];
  readMessage('LabelMatcher', bytes, (field) => {
    if (field.number === 1) kind = field.unsigned();
    else if (field.number === 2) name = field.string();
    else if (field.number === 3) value = field.string();
    else field.skip();
  });
  const type = READ_MATCH_TYPES[kind];
  if (type === undefined) throw new VarveError('client', 'remote-read-matcher', 'invalid matcher type');
  return { type, name, value };
}

/** A buffer that grows: what is written through `bytes` after `reserve` counts once `length` says so. */
export interface MessageSink {
  bytes: Uint8Array;
  length: number;
  reserve(byteCount: number): void;
}

const VARINT_BYTES_MAX = 10;
const encoder = new TextEncoder();

/** Begins a nested message of a field below 16. @returns what `endMessage` needs */
export function beginMessage(out: MessageSink, field: number): number {
  out.reserve(1 + VARINT_BYTES_MAX);
  out.bytes[out.length++] = field * 8 + 2;
  return out.length;
}

/** Ends a nested message: puts its length in front of it. */
export function endMessage(out: MessageSink, begin: number): void {
  const byteLength = out.length - begin;
  const size = varintSize(byteLength);
  out.reserve(size);
  out.bytes.copyWithin(begin + size, begin, out.length);
  putVarint(out.bytes, begin, byteLength);
  out.length += size;
}

/** Labels as field 1 of a series. */
export function writeLabels(out: MessageSink, labels: LabelSet): void {
  for (const { name, value } of labels) {
    const label = beginMessage(out, 1);
    writeText(out, 1, name);
    writeText(out, 2, value);
    endMessage(out, label);
  }
}

function writeText(out: MessageSink, field: number, text: string): void {
  if (text === '') return;
  const begin = beginMessage(out, field);
  out.reserve(text.length * 3);
  out.length += encoder.encodeInto(text, out.bytes.subarray(out.length)).written;
  endMessage(out, begin);
}

/**
 * Samples [from, to) of two columns as field 2 of a TimeSeries. Values are moved as bits.
 * @param timestamps ms
 */
export function writeSamples(
  out: MessageSink,
  timestamps: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
): void {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  for (let i = from; i < to; i++) {
    out.reserve(2 + 9 + 1 + VARINT_BYTES_MAX);
    const { bytes } = out;
    let at = out.length;
    bytes[at++] = 0x12;
    const lengthAt = at++;
    const [low, high] = [words[i * 2]!, words[i * 2 + 1]!];
    if (low !== 0 || high !== 0) {
      bytes[at++] = 0x09;
      at = putWord(bytes, at, low);
      at = putWord(bytes, at, high);
    }
    const timestamp = timestamps[i]!;
    if (timestamp !== 0) {
      bytes[at++] = 0x10;
      at = putVarint(bytes, at, timestamp);
    }
    bytes[lengthAt] = at - lengthAt - 1;
    out.length = at;
  }
}

/** A histogram as field 4 of a TimeSeries. */
export function writeReadHistogram(out: MessageSink, histogram: WriteHistogram): void {
  const begin = beginMessage(out, 4);
  const message = encodeHistogram(histogram);
  out.reserve(message.length);
  out.bytes.set(message, out.length);
  out.length += message.length;
  endMessage(out, begin);
}

export interface ReadChunk {
  /** ms, inclusive. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  /** Encoding byte of chunks, 1 to 6. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** A chunk as field 2 of a ChunkedSeries. @returns its size */
export function writeChunk(out: MessageSink, chunk: ReadChunk): number {
  const before = out.length;
  const begin = beginMessage(out, 2);
  writeInteger(out, 1, chunk.minTimeMs);
  writeInteger(out, 2, chunk.maxTimeMs);
  writeInteger(out, 3, chunk.type);
  const data = beginMessage(out, 4);
  out.reserve(chunk.data.length);
  out.bytes.set(chunk.data, out.length);
  out.length += chunk.data.length;
  endMessage(out, data);
  endMessage(out, begin);
  return out.length - before;
}

/** An int64 or enum field. */
export function writeInteger(out: MessageSink, field: number, value: number): void {
  if (value === 0) return;
  out.reserve(1 + VARINT_BYTES_MAX);
  out.bytes[out.length++] = field * 8;
  out.length = putVarint(out.bytes, out.length, value);
}

/**
 * Turns everything from `begin` on into a frame: its length as varint, the CRC-32C as big-endian word, the message.
 * @param checksumOf the CRC-32C of bytes
 */
export function endFrame(out: MessageSink, begin: number, checksumOf: (bytes: Uint8Array) => number): void {
  const message = out.bytes.subarray(begin, out.length);
  const checksum = checksumOf(message);
  const header = varintSize(message.length) + 4;
  const byteLength = message.length;
  out.reserve(header);
  out.bytes.copyWithin(begin + header, begin, out.length);
  const at = putVarint(out.bytes, begin, byteLength);
  for (let i = 0; i < 4; i++) out.bytes[at + i] = checksum >>> (24 - i * 8);
  out.length += header;
}

function putWord(bytes: Uint8Array, at: number, word: number): number {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
  return at + 4;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Negative numbers take ten bytes, as int64 does. */
function putVarint(bytes: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 128n; rest >>= 7n) bytes[at++] = Number(rest & 127n) | 128;
    bytes[at++] = Number(rest);
    return at;
  }
  let rest = value;
  // Above 2^31 each step is a division; below it integer arithmetic takes over.
  while (rest > 0x7fffffff) {
    const next = Math.floor(rest / 128);
    bytes[at++] = (rest - next * 128) | 128;
    rest = next;
  }
  let small = rest | 0;
  for (; small >= 128; small >>>= 7) bytes[at++] = (small & 127) | 128;
  bytes[at++] = small;
  return at;
}
