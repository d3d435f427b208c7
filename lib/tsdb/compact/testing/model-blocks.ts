import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  type FloatHistogram,
  formatHistogram,
  IntegerHistogram,
  isCounterReset,
  isStaleAt,
  RESET_HINT,
  VALUE,
} from '../../../histogram/index.js';
import { codecKernel } from '../../../kernel/index.js';
import { compareLabelSets, type LabelSet, labelsFromObject } from '../../../labels/index.js';
import {
  type BlockChunk,
  type BlockMeta,
  BlockReader,
  BlockWriter,
  type BlockWriterOptions,
  type Interval,
  SEGMENT_HEADER_BYTES,
  writeTombstones,
} from '../../block/index.js';
import {
  ENCODING,
  HistogramAppender,
  HistogramDecoder,
  histogramAt,
  RESET_HEADER,
} from '../../chunk/index.js';
import { crc32c, SeriesEntry, writeBe32 } from '../../index/index.js';

/** Blocks as plain lists of samples, and what is in a block as plain text: what the tests of compaction compare. */

export const T = 1_700_000_000_000;

/** The bits of a float, or a histogram. */
export type ModelValue = bigint | IntegerHistogram | FloatHistogram;

export interface ModelSample {
  readonly time: number;
  readonly value: ModelValue;
}

export interface ModelSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly ModelSample[];
  /** Deleted spans. */
  readonly stones?: readonly Interval[];
}

export type Content = Map<string, Map<number, string>>;

export const STALE_BITS = 0x7ff0_0000_0000_0002n;

export function float(time: number, value: number): ModelSample {
  return { time, value: new BigUint64Array(Float64Array.of(value).buffer)[0]! };
}

/** Counting values every 15 s. */
export function ramp(count: number, start = T, step = 15_000): ModelSample[] {
  return Array.from({ length: count }, (_, i) => float(start + i * step, i));
}

type Kind = 'floats' | 'integers' | 'doubles';

function kindOf(value: ModelValue): Kind {
  if (typeof value === 'bigint') return 'floats';
  return value instanceof IntegerHistogram ? 'integers' : 'doubles';
}

/** Encodes samples in chunks of at most so many. */
export function chunksOf(samples: readonly ModelSample[], perChunk: number): BlockChunk[] {
  const chunks: BlockChunk[] = [];
  let from = 0;
  while (from < samples.length) {
    const kind = kindOf(samples[from]!.value);
    let to = from + 1;
    while (to < samples.length && kindOf(samples[to]!.value) === kind) to++;
    const run = samples.slice(from, to);
    if (kind === 'floats') chunks.push(...floatChunks(run, perChunk));
    else if (kind === 'integers')
      chunks.push(...histogramChunks(run, perChunk, HistogramAppender.integers()));
    else chunks.push(...histogramChunks(run, perChunk, HistogramAppender.floats()));
    from = to;
  }
  return chunks;
}

function floatChunks(samples: readonly ModelSample[], perChunk: number): BlockChunk[] {
  const chunks: BlockChunk[] = [];
  for (let i = 0; i < samples.length; i += perChunk) {
    const part = samples.slice(i, i + perChunk);
    const times = Float64Array.from(part, (sample) => sample.time);
    const values = new Float64Array(BigUint64Array.from(part, (sample) => sample.value as bigint).buffer);
    chunks.push({
      minTime: times[0]!,
      maxTime: times[times.length - 1]!,
      encoding: ENCODING.xor,
      data: codecKernel().encodeXor(times, values, times.length),
    });
  }
  return chunks;
}

function histogramChunks<H extends IntegerHistogram | FloatHistogram>(
  samples: readonly ModelSample[],
  perChunk: number,
  appender: HistogramAppender<H>,
): BlockChunk[] {
  const chunks: BlockChunk[] = [];
  let minTime = samples[0]!.time;
  let maxTime = minTime;
  const push = (data: Uint8Array | null, next: number): void => {
    if (data === null) return;
    chunks.push({ minTime, maxTime, encoding: appender.encoding, data });
    minTime = next;
  };
  for (const { time, value } of samples) {
    if (appender.sampleCount === perChunk) push(appender.cut(), time);
    push(appender.append(time, value as H), time);
    maxTime = time;
  }
  push(appender.cut(), 0);
  return chunks;
}

/** Writes a block; series may come in any order, those without samples are left out. */
export function writeModelBlock(
  parent: string,
  series: readonly ModelSeries[],
  perChunk = 120,
  options: BlockWriterOptions = {},
): BlockMeta {
  return writeChunks(
    parent,
    series.map(({ labels, samples }) => ({
      labels: labelsFromObject(labels),
      chunks: chunksOf(samples, perChunk),
    })),
    options,
    series.map(({ stones }) => stones ?? []),
  );
}

/** Writes a block of given chunks. */
export function writeChunks(
  parent: string,
  series: readonly { readonly labels: LabelSet; readonly chunks: readonly BlockChunk[] }[],
  options: BlockWriterOptions = {},
  stones: readonly (readonly Interval[])[] = [],
): BlockMeta {
  const writer = BlockWriter.create(parent, options);
  const texts = new Set(series.flatMap(({ labels }) => labels.flatMap(({ name, value }) => [name, value])));
  writer.addSymbols([...texts].map((text) => Buffer.from(text)).sort(Buffer.compare));
  const order = [...series.keys()]
    .filter((i) => series[i]!.chunks.length > 0)
    .sort((a, b) => compareLabelSets(series[a]!.labels, series[b]!.labels));
  for (const i of order) writer.addLabelSet(series[i]!.labels, series[i]!.chunks);
  const meta = writer.finish()!;
  const directory = join(parent, meta.ulid);
  const block = BlockReader.open(directory);
  const refs = block.index.allPostings();
  const tombstones = new Map<number, Interval[]>();
  for (const [at, i] of order.entries()) {
    const spans = stones[i] ?? [];
    if (spans.length > 0) tombstones.set(refs[at]!, [...spans]);
  }
  writeTombstones(directory, tombstones);
  block.close();
  return meta;
}

export function labelText(labels: LabelSet): string {
  return `{${labels.map(({ name, value }) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
}

export function valueText(value: ModelValue): string {
  if (typeof value === 'bigint') return value.toString(16);
  if (value.isStale) return `stale ${kindOf(value)}`;
  return `${formatHistogram(value instanceof IntegerHistogram ? value.toFloat() : value)} ${kindOf(value)}`;
}

/** What the blocks hold together: of equal times the sample of the block that comes first. */
export function mergedContent(
  blocks: readonly { readonly series: readonly ModelSeries[]; readonly meta: BlockMeta }[],
): Content {
  const content: Content = new Map();
  const ordered = [...blocks].sort(
    (a, b) => a.meta.minTime - b.meta.minTime || (a.meta.ulid < b.meta.ulid ? -1 : 1),
  );
  for (const { series } of ordered) {
    for (const { labels, samples, stones = [] } of series) {
      const key = labelText(labelsFromObject(labels));
      for (const { time, value } of samples) {
        if (stones.some((stone) => time >= stone.minTime && time <= stone.maxTime)) continue;
        let target = content.get(key);
        if (target === undefined) content.set(key, (target = new Map()));
        if (!target.has(time)) target.set(time, valueText(value));
      }
    }
  }
  for (const [key, samples] of content) {
    content.set(key, new Map([...samples].sort((a, b) => a[0] - b[0])));
  }
  return content;
}

/** A chunk as it stands in a block. */
export interface StoredChunk {
  readonly encoding: number;
  readonly data: Uint8Array;
}

/** Chunks by series. */
export function readChunks(directory: string): Map<string, StoredChunk[]> {
  const block = BlockReader.open(directory);
  const { symbols } = block.index;
  const found = new Map<string, StoredChunk[]>();
  const entry = new SeriesEntry();
  for (const ref of block.index.allPostings()) {
    block.index.series(ref, entry);
    const labels: { name: string; value: string }[] = [];
    for (let i = 0; i < entry.labelCount * 2; i += 2) {
      labels.push({ name: symbols.text(entry.labels[i]!), value: symbols.text(entry.labels[i + 1]!) });
    }
    const chunks = Array.from(entry.chunkRefs.subarray(0, entry.chunkCount), (chunkRef) => {
      const { encoding, data } = block.chunks.read(chunkRef);
      return { encoding, data: new Uint8Array(data) };
    });
    found.set(labelText(labels), chunks);
  }
  block.close();
  return found;
}

/** Samples by series. */
export function readContent(directory: string): Content {
  const content: Content = new Map();
  for (const [key, chunks] of readChunks(directory)) {
    const samples = new Map<number, string>();
    for (const chunk of chunks) for (const [time, text] of samplesOf(chunk)) samples.set(time, text);
    content.set(key, samples);
  }
  return content;
}

function samplesOf({ encoding, data }: StoredChunk): [number, string][] {
  if (encoding === ENCODING.xor) {
    const count = (data[0]! << 8) | data[1]!;
    const times = new Float64Array(count);
    const values = new Float64Array(count);
    codecKernel().decodeXorInto(data, times, values);
    const bits = new BigUint64Array(values.buffer);
    return Array.from(times, (time, i) => [time, valueText(bits[i]!)]);
  }
  const columns = new HistogramDecoder().decode(encoding, data);
  const kind = encoding === ENCODING.histogram ? 'integers' : 'doubles';
  return Array.from(columns.timestamps, (time, i) => {
    const isStale = isStaleAt(columns.values, i * columns.stride + VALUE.sum);
    return [time, isStale ? `stale ${kind}` : `${formatHistogram(histogramAt(columns, i))} ${kind}`];
  });
}

/** Histogram chunks whose header speaks of a sample before, where there is none or a counter reset after it. */
export function wrongHeaders(directory: string): string[] {
  const wrong: string[] = [];
  const decoder = new HistogramDecoder();
  for (const [key, chunks] of readChunks(directory)) {
    let last: FloatHistogram | null = null;
    for (const { encoding, data } of chunks) {
      if (encoding === ENCODING.xor) {
        last = null;
        continue;
      }
      const columns = decoder.decode(encoding, data);
      const first = histogramAt(columns, 0);
      const isDenied: boolean = columns.header === RESET_HEADER.notReset;
      // Between gauges and counters, and after stale markers, there is nothing to compare.
      const isComparable: boolean =
        last !== null && last.hint !== RESET_HINT.gauge && !first.isStale && !last.isStale;
      if (isDenied && (last === null || (isComparable && isCounterReset(first, last)))) {
        wrong.push(`${key} at ${columns.timestamps[0]}`);
      }
      last = histogramAt(columns, columns.sampleCount - 1);
    }
  }
  return wrong;
}

/** Gives the first chunk of a segment another encoding: the block writer makes only those of encodings 1 to 3. */
export function patchEncoding(segment: string, dataBytes: number, encoding: number): void {
  const bytes = readFileSync(segment);
  const at = SEGMENT_HEADER_BYTES + (dataBytes < 128 ? 1 : 2);
  const end = at + 1 + dataBytes;
  bytes[at] = encoding;
  writeBe32(bytes, end, crc32c(bytes, at, end));
  writeFileSync(segment, bytes);
}

/** The folder of shared fixtures, or null where there is none. */
export function sharedFolder(): string | null {
  const candidates = [process.env['VARVE_SHARED'] ?? '', join(process.cwd(), '../shared')];
  return candidates.find((folder) => folder !== '' && existsSync(join(folder, 'fixtures'))) ?? null;
}

/** The real promtool, or null where there is none. */
export function promtool(): string | null {
  const peers = process.env['PEERS_DIR'] ?? join(homedir(), 'peers');
  const candidates = [process.env['PROMTOOL_BIN'] ?? '', join(peers, 'bin/promtool'), '/usr/bin/promtool'];
  return candidates.find((path) => path !== '' && existsSync(path)) ?? null;
}
