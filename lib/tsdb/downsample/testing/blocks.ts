import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type LabelSet, labelsFromObject } from '../../../labels/index.js';
import { type BlockChunk, type BlockMeta, BlockWriter, type BlockWriterOptions } from '../../block/index.js';
import { type Sample, xorChunk } from './model.js';

export interface TestSeries {
  readonly labels: LabelSet;
  readonly chunks: readonly BlockChunk[];
}

/** A series of floats in raw chunks. */
export function testSeries(
  labels: Readonly<Record<string, string>>,
  samples: readonly Sample[],
  perChunk = 120,
): TestSeries {
  const chunks: BlockChunk[] = [];
  for (let i = 0; i < samples.length; i += perChunk) {
    const part = samples.slice(i, i + perChunk);
    chunks.push({ minTime: part[0]![0], maxTime: part.at(-1)![0], encoding: 1, data: xorChunk(part) });
  }
  return { labels: labelsFromObject(labels), chunks };
}

/** Writes series, given in label order, as a block. */
export function writeTestBlock(
  parent: string,
  series: readonly TestSeries[],
  options: BlockWriterOptions,
): BlockMeta {
  const writer = BlockWriter.create(parent, options);
  const symbols = new Set(series.flatMap((one) => one.labels.flatMap((label) => [label.name, label.value])));
  writer.addSymbols([...symbols].map((text) => Buffer.from(text)).sort(Buffer.compare));
  for (const one of series) writer.addLabelSet(one.labels, one.chunks);
  return writer.finish()!;
}

/** The folder of shared fixtures, or null where there is none. */
export function sharedFolder(): string | null {
  const candidates = [process.env['VARVE_SHARED'] ?? '', join(process.cwd(), '../shared')];
  return candidates.find((folder) => folder !== '' && existsSync(join(folder, 'fixtures'))) ?? null;
}
