import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BlockChunk, BlockWriter } from '../block/index.js';
import { CHUNK_KIND_RAW, HeadMemory } from './head-memory.js';
import { collectLate } from './head-reader.js';
import { mergeChunks } from './merge-chunks.js';

export interface CutBlock {
  readonly ulid: string;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly seriesCount: number;
  readonly sampleCount: number;
}

/**
 * Writes the marked chunks of a head into blocks, one per aligned range that has any. To be run off the ingest thread,
 * with a hold on the head. Series go out in label order; chunks are copied as they are, except where late samples
 * overlap them.
 * @param upToMs end of what was marked, exclusive: a block does not claim time that may still bring samples. Marked
 *               samples from there on would be lost.
 */
export function cutBlocks(
  memory: WebAssembly.Memory,
  directory: string,
  rangeMs: number,
  upToMs: number,
): CutBlock[] {
  const head = new HeadMemory(memory);
  head.begin();
  const marked = collectMarked(head, rangeMs);
  if (marked.refs.length === 0) return [];
  const { symbolIds, rankOf } = rankSymbols(head, marked.refs);
  const order = sortByLabels(head, marked.refs, rankOf);
  const written: CutBlock[] = [];
  for (const range of [...marked.ranges].sort((a, b) => a - b)) {
    const minTime = range * rangeMs;
    const maxTime = Math.min(minTime + rangeMs, upToMs);
    const writer = BlockWriter.create(directory, { minTime, maxTime });
    try {
      writer.addSymbols(symbolTexts(head, symbolIds));
      for (const ref of order) addSeries(head, writer, ref, rankOf, minTime, maxTime);
      const meta = writer.finish();
      if (meta === null) continue;
      written.push({
        ulid: meta.ulid,
        minTimeMs: meta.minTime,
        maxTimeMs: meta.maxTime,
        seriesCount: meta.stats.numSeries ?? 0,
        sampleCount: meta.stats.numSamples ?? 0,
      });
    } catch (thrown) {
      writer.abort();
      // The next attempt writes all of them again.
      for (const { ulid } of written) rmSync(join(directory, ulid), { recursive: true, force: true });
      throw thrown;
    }
  }
  return written;
}

function* symbolTexts(head: HeadMemory, ids: Uint32Array): Generator<string> {
  for (const id of ids) yield head.text(id);
}

/** Series that hold marked chunks, and the numbers of the ranges that their samples lie in. */
function collectMarked(head: HeadMemory, rangeMs: number): { refs: Uint32Array; ranges: Set<number> } {
  const limit = head.seriesLimit;
  const refs = new Uint32Array(limit);
  const ranges = new Set<number>();
  let count = 0;
  for (let ref = 1; ref < limit; ref++) {
    const series = head.seriesAddress(ref);
    if (series === 0 || head.seriesLabels(series) === 0) continue;
    let found = false;
    for (const newest of [head.newestChunk(series), head.newestLateChunk(series)]) {
      for (let chunk = newest; chunk !== 0; chunk = head.olderChunk(chunk)) {
        if (!head.isMarked(chunk)) continue;
        found = true;
        const last = Math.floor(head.chunkMaxTime(chunk) / rangeMs);
        for (let range = Math.floor(head.chunkMinTime(chunk) / rangeMs); range <= last; range++)
          ranges.add(range);
      }
    }
    if (found) refs[count++] = ref;
  }
  return { refs: refs.subarray(0, count), ranges };
}

/** Symbols in use in byte order, and the place of each symbol id among them. */
function rankSymbols(head: HeadMemory, refs: Uint32Array): { symbolIds: Uint32Array; rankOf: Uint32Array } {
  let rankOf = new Uint32Array(65536);
  const used: number[] = [];
  const note = (symbol: number) => {
    if (symbol >= rankOf.length) {
      const bigger = new Uint32Array(Math.max(rankOf.length * 2, symbol + 1));
      bigger.set(rankOf);
      rankOf = bigger;
    }
    if (rankOf[symbol] !== 0) return;
    rankOf[symbol] = 1;
    used.push(symbol);
  };
  const seenPairs = new Set<number>();
  for (const ref of refs) {
    const labels = head.seriesLabels(head.seriesAddress(ref));
    const count = head.load(labels);
    for (let i = 0; i < count; i++) {
      const pair = head.load(labels + 4 + i * 4);
      if (seenPairs.has(pair)) continue;
      seenPairs.add(pair);
      note(head.pairName(pair));
      note(head.pairValue(pair));
    }
  }
  const bytes = new Map(used.map((symbol) => [symbol, Buffer.from(head.text(symbol), 'utf8')]));
  const symbolIds = Uint32Array.from(used.sort((a, b) => Buffer.compare(bytes.get(a)!, bytes.get(b)!)));
  for (let i = 0; i < symbolIds.length; i++) rankOf[symbolIds[i]!] = i;
  return { symbolIds, rankOf };
}

/** Refs in label-set order: pairwise by rank of name and value, a proper prefix first. */
function sortByLabels(head: HeadMemory, refs: Uint32Array, rankOf: Uint32Array): Uint32Array {
  // All label lists in one array of ranks, so that comparing follows no pointers.
  const starts = new Uint32Array(refs.length + 1);
  let ranks = new Uint32Array(refs.length * 16 + 16);
  let at = 0;
  for (let i = 0; i < refs.length; i++) {
    const labels = head.seriesLabels(head.seriesAddress(refs[i]!));
    const count = head.load(labels);
    if (at + count * 2 > ranks.length) {
      const bigger = new Uint32Array(Math.max(ranks.length * 2, at + count * 2));
      bigger.set(ranks);
      ranks = bigger;
    }
    for (let k = 0; k < count; k++) {
      const pair = head.load(labels + 4 + k * 4);
      ranks[at++] = rankOf[head.pairName(pair)]!;
      ranks[at++] = rankOf[head.pairValue(pair)]!;
    }
    starts[i + 1] = at;
  }
  const order = Uint32Array.from(refs.keys());
  order.sort((a, b) => {
    const startA = starts[a]!;
    const startB = starts[b]!;
    const lengthA = starts[a + 1]! - startA;
    const lengthB = starts[b + 1]! - startB;
    const n = Math.min(lengthA, lengthB);
    for (let k = 0; k < n; k++) {
      const difference = ranks[startA + k]! - ranks[startB + k]!;
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  });
  return order.map((i) => refs[i]!);
}

function addSeries(
  head: HeadMemory,
  writer: BlockWriter,
  ref: number,
  rankOf: Uint32Array,
  minTimeMs: number,
  endTimeMs: number,
): void {
  const series = head.seriesAddress(ref);
  const chunks: BlockChunk[] = [];
  let isWhole = true;
  for (let chunk = head.newestChunk(series); chunk !== 0; chunk = head.olderChunk(chunk)) {
    if (!head.isMarked(chunk)) continue;
    const minTime = head.chunkMinTime(chunk);
    const maxTime = head.chunkMaxTime(chunk);
    if (minTime >= endTimeMs || maxTime < minTimeMs) continue;
    if (minTime < minTimeMs || maxTime >= endTimeMs) isWhole = false;
    const data = head.payload(chunk, head.chunkSampleCount(chunk));
    chunks.push({ minTime, maxTime, encoding: head.chunkEncoding(chunk), data });
  }
  chunks.reverse();
  const isWanted = (chunk: number): boolean =>
    head.isMarked(chunk) && head.chunkMinTime(chunk) < endTimeMs && head.chunkMaxTime(chunk) >= minTimeMs;
  const late = collectLate(head, series, 0, isWanted);
  const histograms = lateHistograms(head, series, isWanted);
  const hasLate = late.count > 0 || histograms.length > 0;
  const complete =
    hasLate || !isWhole ? mergeChunks([...chunks, ...histograms], late, minTimeMs, endTimeMs) : chunks;
  if (complete.length === 0) return;
  const labels = head.seriesLabels(series);
  const count = head.load(labels);
  const pairs = new Uint32Array(count * 2);
  for (let i = 0; i < count; i++) {
    const pair = head.load(labels + 4 + i * 4);
    pairs[i * 2] = rankOf[head.pairName(pair)]!;
    pairs[i * 2 + 1] = rankOf[head.pairValue(pair)]!;
  }
  writer.addSeries(pairs, complete);
}

/** The late histograms of a series as chunks of one sample each, those stored first in front. */
function lateHistograms(
  head: HeadMemory,
  series: number,
  isWanted: (chunk: number) => boolean,
): BlockChunk[] {
  const found: BlockChunk[] = [];
  for (let chunk = head.newestLateChunk(series); chunk !== 0; chunk = head.olderChunk(chunk)) {
    if (head.chunkKind(chunk) === CHUNK_KIND_RAW || !isWanted(chunk)) continue;
    const minTime = head.chunkMinTime(chunk);
    const data = head.payload(chunk, head.chunkSampleCount(chunk));
    found.push({ minTime, maxTime: minTime, encoding: head.chunkEncoding(chunk), data });
  }
  return found.reverse();
}
