import { codecKernel, HeadKernel, type HeadKernelOptions, ScanKernel } from '../../../kernel/index.js';
import { snappy, type TestSeries, writeRequest } from '../../../kernel/testing/write-request.js';
import type { Matcher } from '../../../matcher/index.js';
import { ArrayArena, type SeriesSet } from '../../../storage/index.js';
import { HeadReader } from '../head-reader.js';

/** Feeds heads and decodes what they answer, for tests. */

export const HEAD_OPTIONS: HeadKernelOptions = {
  chunkRangeMs: 7_200_000,
  outOfOrderWindowMs: 0,
  memoryBytesMax: 512 * 2 ** 20,
};

const scan = new ScanKernel();

export interface Pushed {
  /** Samples per SAMPLE_CODE. */
  readonly counts: number[];
}

/** Appends a request whose labels are canonical, and forgets the log of it. */
export function push(head: HeadKernel, series: readonly TestSeries[], futureLimitMs = 8.64e15): Pushed {
  const pushed = append(head, series, futureLimitMs);
  head.takeBatch(false);
  return pushed;
}

/** Appends a request whose labels are canonical; its log records stand in the batch. */
export function append(head: HeadKernel, series: readonly TestSeries[], futureLimitMs = 8.64e15): Pushed {
  const body = snappy(writeRequest(series));
  const columns = scan.load([body], body.length, 2 ** 27);
  if (head.loadBatch(scan) > 0) {
    for (let i = 0; i < columns.seriesCount; i++) {
      if (head.refAt(i) !== 0) continue;
      const labels = scan.labelBytes(i);
      head.setRef(i, head.find(labels) || head.create(labels));
    }
  }
  const { counts } = head.appendLoaded(futureLimitMs);
  return { counts: [...counts] };
}

export interface DecodedChunk {
  readonly bytes: Uint8Array;
  readonly times: number[];
  readonly bits: bigint[];
}

export interface DecodedSeries {
  /** `name=value` joined by commas. */
  readonly labels: string;
  readonly chunks: readonly DecodedChunk[];
}

export function decodeChunk(bytes: Uint8Array): DecodedChunk {
  const count = (bytes[0]! << 8) | bytes[1]!;
  const times = new Float64Array(count);
  const values = new Float64Array(count);
  codecKernel().decodeXorInto(bytes, times, values);
  return { bytes, times: [...times], bits: [...new BigUint64Array(values.buffer)] };
}

export function decodeSet(set: SeriesSet, arena: ArrayArena): DecodedSeries[] {
  const found: DecodedSeries[] = [];
  for (let i = 0; i < set.seriesCount; i++) {
    const labels: string[] = [];
    for (let k = set.labelOffsets[i]!; k < set.labelOffsets[i + 1]!; k += 2)
      labels.push(`${set.symbols.text(set.labels[k]!)}=${set.symbols.text(set.labels[k + 1]!)}`);
    const chunks: DecodedChunk[] = [];
    for (let k = set.chunkOffsets[i]!; k < set.chunkOffsets[i + 1]!; k++) {
      const address = set.chunkAddresses[k]!;
      chunks.push(decodeChunk(arena.bytes().slice(address, address + set.chunkByteLengths[k]!)));
    }
    found.push({ labels: labels.join(','), chunks });
  }
  return found;
}

/** All a reader finds, decoded. */
export async function selectAll(
  reader: HeadReader,
  matchers: readonly Matcher[] = [],
  minTimeMs = -8.64e15,
  maxTimeMs = 8.64e15,
  newestOnly = false,
): Promise<DecodedSeries[]> {
  const arena = new ArrayArena();
  reader.begin();
  const common = { stepMs: 0, func: '', rangeMs: 0, withoutChunks: false, limit: 0 };
  const hints = { minTimeMs, maxTimeMs, newestOnly, ...common };
  return decodeSet(await reader.select(matchers, hints, arena), arena);
}

/** The samples of a series: chunks merged, of equal times that of the earlier chunk. */
export function samplesOf(series: DecodedSeries): Map<number, bigint> {
  const merged = new Map<number, bigint>();
  for (const chunk of series.chunks)
    chunk.times.forEach((time, i) => {
      if (!merged.has(time)) merged.set(time, chunk.bits[i]!);
    });
  return new Map([...merged].sort(([a], [b]) => a - b));
}

export function newHead(options: Partial<HeadKernelOptions> = {}): { head: HeadKernel; reader: HeadReader } {
  const head = new HeadKernel({ ...HEAD_OPTIONS, ...options });
  return { head, reader: new HeadReader(head.memory) };
}
