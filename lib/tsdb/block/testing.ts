import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { codecKernel } from '../../kernel/index.js';
import { type LabelSet, labelsFromObject } from '../../labels/index.js';
import type { Matcher, MatchType } from '../../matcher/index.js';
import type { ChunkArena, SelectHints, SeriesSet } from '../../storage/index.js';
import { type BlockChunk, BlockWriter, type BlockWriterOptions } from './block-writer.js';
import type { BlockMeta } from './meta.js';

/** What the tests of blocks, merging and logs share. */

export const T = 1_700_000_000_000;

/** A matcher compiled with JavaScript's own regular expressions, without fast paths unless it is a literal. */
export function matcher(type: MatchType, name: string, value: string, prefix = ''): Matcher {
  const isNegative = type === '!=' || type === '!~';
  const isRegex = type === '=~' || type === '!~';
  const regex = new RegExp(`^(?:${isRegex ? value : ''})$`, 'su');
  const matches = (text: string): boolean => (isRegex ? regex.test(text) : text === value) !== isNegative;
  const oneOf = !isRegex ? [value] : /^[a-z|]+$/.test(value) ? value.split('|') : null;
  return { type, name, value, isNegative, matchesEmpty: matches(''), oneOf, prefix, matches };
}

export function hints(minTimeMs = 0, maxTimeMs = 2 ** 52, more: Partial<SelectHints> = {}): SelectHints {
  return { minTimeMs, maxTimeMs, stepMs: 0, func: '', rangeMs: 0, withoutChunks: false, limit: 0, ...more };
}

export interface TestSeries {
  readonly labels: LabelSet;
  readonly chunks: readonly BlockChunk[];
}

/** A series with samples (time, value) in chunks of a few. */
export function testSeries(
  labels: Readonly<Record<string, string>>,
  samples: readonly (readonly [number, number])[],
  perChunk = 4,
): TestSeries {
  const chunks: BlockChunk[] = [];
  for (let i = 0; i < samples.length; i += perChunk) {
    const part = samples.slice(i, i + perChunk);
    const times = Float64Array.from(part, (sample) => sample[0]);
    const values = Float64Array.from(part, (sample) => sample[1]);
    chunks.push({
      minTime: times[0]!,
      maxTime: times[times.length - 1]!,
      encoding: 1,
      data: codecKernel().encodeXor(times, values, times.length),
    });
  }
  return { labels: labelsFromObject(labels), chunks };
}

/** Samples every 15 s from T on. */
export function ramp(count: number, start = T, step = 15_000): [number, number][] {
  return Array.from({ length: count }, (_, i) => [start + i * step, i]);
}

/** Writes series, given in label order, as a block. */
export function writeTestBlock(
  parent: string,
  series: readonly TestSeries[],
  options: BlockWriterOptions = {},
): BlockMeta {
  const writer = BlockWriter.create(parent, options);
  const symbols = new Set(series.flatMap((one) => one.labels.flatMap((label) => [label.name, label.value])));
  writer.addSymbols([...symbols].map((text) => Buffer.from(text)).sort(Buffer.compare));
  for (const one of series) writer.addLabelSet(one.labels, one.chunks);
  return writer.finish()!;
}

/** A series set as text: labels, then samples as time offset and value, per chunk. */
export function dumpSet(set: SeriesSet, arena: ChunkArena): string[] {
  const times = new Float64Array(65536);
  const values = new Float64Array(65536);
  const lines: string[] = [];
  for (let i = 0; i < set.seriesCount; i++) {
    const chunks: string[] = [];
    for (let c = set.chunkOffsets[i]!; c < set.chunkOffsets[i + 1]!; c++) {
      const address = set.chunkAddresses[c]!;
      const data = arena.bytes().subarray(address, address + set.chunkByteLengths[c]!);
      const count = codecKernel().decodeXorInto(data, times, values);
      chunks.push(
        Array.from(times.subarray(0, count), (time, s) => `${(time - T) / 1000}:${values[s]}`).join(' '),
      );
    }
    lines.push([labelText(set, i), ...chunks].join(' | '));
  }
  return lines;
}

/** Labels of a series in the text form of Prometheus. */
export function labelText(set: SeriesSet, series: number): string {
  const parts: string[] = [];
  for (let i = set.labelOffsets[series]!; i < set.labelOffsets[series + 1]!; i += 2) {
    parts.push(`${set.symbols.text(set.labels[i]!)}=${JSON.stringify(set.symbols.text(set.labels[i + 1]!))}`);
  }
  return `{${parts.join(', ')}}`;
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
