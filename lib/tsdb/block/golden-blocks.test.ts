import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { decodeAggregateChunk, ENCODING } from '../chunk/index.js';
import { SeriesEntry } from '../index/index.js';
import { BlockReader } from './block-reader.js';
import { AGGREGATES, Digest, goldenBucket } from './testing/golden.js';
import { verifyBlock } from './verify.js';

/**
 * Blocks written by Prometheus' and Thanos' own code, with every sample hashed by them: each series and aggregate is
 * read back through index, segments and all chunk decoders, and must give the same counts, ends and hash.
 */

const golden = goldenBucket();
const bucket = golden?.folder ?? '';
const lines = golden?.lines ?? [];
if (golden === null)
  process.stderr.write('SKIPPED: no fixtures folder (set VARVE_SHARED); golden blocks not read\n');

/** Reads a block into a line per series and aggregate. */
function digestBlock(directory: string): Map<string, unknown> {
  const block = BlockReader.open(directory);
  const { symbols } = block.index;
  const found = new Map<string, unknown>();
  const entry = new SeriesEntry();
  for (const ref of block.index.allPostings()) {
    block.index.series(ref, entry);
    const labels: string[] = [];
    for (let i = 0; i < entry.labelCount * 2; i += 2) {
      labels.push(`${symbols.text(entry.labels[i]!)}=${JSON.stringify(symbols.text(entry.labels[i + 1]!))}`);
    }
    const digests = new Map<string, Digest>();
    for (let c = 0; c < entry.chunkCount; c++) {
      const { encoding, data } = block.chunks.read(entry.chunkRefs[c]!);
      if (encoding !== ENCODING.aggregate) digestOf(digests, 'raw').add({ encoding, data });
      else {
        for (const [i, inner] of decodeAggregateChunk(data).entries()) {
          const digest = digestOf(digests, AGGREGATES[i]!);
          if (inner !== null) digest.add(inner);
        }
      }
    }
    for (const [aggregate, digest] of digests)
      found.set(`{${labels.join(', ')}} ${aggregate}`, digest.line());
  }
  block.close();
  return found;
}

function digestOf(digests: Map<string, Digest>, aggregate: string): Digest {
  let digest = digests.get(aggregate);
  if (digest === undefined) {
    digest = new Digest();
    digests.set(aggregate, digest);
  }
  return digest;
}

(golden === null ? describe.skip : describe)('a golden block', () => {
  const blocks = [...new Set(lines.map((line) => line.block))];

  test('is one of three resolutions', () => {
    expect(blocks).toHaveLength(3);
    expect(lines).toHaveLength(110);
  });

  test.each(blocks)('%s is whole', (block) => {
    const series = lines.filter((line) => line.block === block && ['raw', 'count'].includes(line.aggregate));
    expect(verifyBlock(join(bucket, block))).toMatchObject({
      seriesCount: 10,
      sampleCount: series.reduce((sum, line) => sum + line.samples, 0),
    });
  });

  test.each(blocks)('%s has every sample of its golden lines', (block) => {
    const found = digestBlock(join(bucket, block));
    const expected = lines
      .filter((line) => line.block === block)
      .map(({ series, aggregate, chunks, samples, first, last, sha256 }): [string, unknown] => [
        `${series} ${aggregate}`,
        { chunks, samples, first, last, sha256 },
      ]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  });
});
