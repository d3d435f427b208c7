import { createHash, type Hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { formatHistogram } from '../../histogram/index.js';
import { codecKernel } from '../../kernel/index.js';
import {
  decodeAggregateChunk,
  ENCODING,
  HistogramDecoder,
  histogramAt,
  type InnerChunk,
} from '../chunk/index.js';
import { SeriesEntry } from '../index/index.js';
import { BlockReader } from './block-reader.js';
import { sharedFolder } from './testing.js';
import { verifyBlock } from './verify.js';

/**
 * Blocks written by Prometheus' and Thanos' own code, with every sample hashed by them: each series and aggregate is
 * read back through index, segments and all chunk decoders, and must give the same counts, ends and hash.
 */

interface GoldenLine {
  readonly block: string;
  readonly series?: string;
  readonly aggregate: string;
  readonly chunks: number;
  readonly samples: number;
  readonly first: readonly string[] | null;
  readonly last: readonly string[] | null;
  readonly sha256: string;
}

const AGGREGATES = ['count', 'sum', 'min', 'max', 'counter'];
const shared = sharedFolder();
const bucket = join(shared ?? '', 'fixtures/thanos-bucket');
const golden: GoldenLine[] =
  shared === null
    ? []
    : readFileSync(join(bucket, 'golden.jsonl'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as GoldenLine)
        .filter((line) => line.series !== undefined);
if (shared === null)
  process.stderr.write('SKIPPED: no fixtures folder (set VARVE_SHARED); golden blocks not read\n');

const decoder = new HistogramDecoder();
const times = new Float64Array(65536);
const values = new Float64Array(65536);
const bits = new BigUint64Array(values.buffer);

/** What one aggregate of a series comes to. */
class Digest {
  chunks = 0;
  samples = 0;
  readonly #texts: string[] = [];
  readonly #hash: Hash = createHash('sha256');

  add(chunk: InnerChunk): void {
    this.chunks++;
    if (chunk.encoding === ENCODING.xor) this.#addFloats(chunk.data);
    else this.#addHistograms(chunk);
  }

  line(): Pick<GoldenLine, 'chunks' | 'samples' | 'first' | 'last' | 'sha256'> {
    const { chunks, samples } = this;
    const texts = this.#texts;
    const first = samples === 0 ? null : texts.slice(0, 3);
    const last = samples === 0 ? null : texts.slice(-3);
    return { chunks, samples, first, last, sha256: this.#hash.digest('hex') };
  }

  #addFloats(data: Uint8Array): void {
    const count = codecKernel().decodeXorInto(data, times, values);
    const bytes = new DataView(new ArrayBuffer(count * 16));
    for (let i = 0; i < count; i++) {
      bytes.setBigInt64(i * 16, BigInt(times[i]!));
      bytes.setBigUint64(i * 16 + 8, bits[i]!);
      this.#texts.push(`${times[i]} ${bits[i]!.toString(16)}`);
    }
    this.samples += count;
    this.#hash.update(new Uint8Array(bytes.buffer));
  }

  #addHistograms(chunk: InnerChunk): void {
    const columns = decoder.decode(chunk.encoding, chunk.data);
    for (let i = 0; i < columns.sampleCount; i++) {
      const text = `${columns.timestamps[i]} ${formatHistogram(histogramAt(columns, i))}`;
      this.#texts.push(text);
      this.#hash.update(text);
    }
    this.samples += columns.sampleCount;
  }
}

/** Reads a block into a line per series and aggregate. */
function digestBlock(directory: string): Map<string, unknown> {
  const block = BlockReader.open(directory);
  const { symbols } = block.index;
  const lines = new Map<string, unknown>();
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
      lines.set(`{${labels.join(', ')}} ${aggregate}`, digest.line());
  }
  block.close();
  return lines;
}

function digestOf(digests: Map<string, Digest>, aggregate: string): Digest {
  let digest = digests.get(aggregate);
  if (digest === undefined) {
    digest = new Digest();
    digests.set(aggregate, digest);
  }
  return digest;
}

(shared === null ? describe.skip : describe)('a golden block', () => {
  const blocks = [...new Set(golden.map((line) => line.block))];

  test('is one of three resolutions', () => {
    expect(blocks).toHaveLength(3);
    expect(golden).toHaveLength(110);
  });

  test.each(blocks)('%s is whole', (block) => {
    const series = golden.filter((line) => line.block === block && ['raw', 'count'].includes(line.aggregate));
    expect(verifyBlock(join(bucket, block))).toMatchObject({
      seriesCount: 10,
      sampleCount: series.reduce((sum, line) => sum + line.samples, 0),
    });
  });

  test.each(blocks)('%s has every sample of its golden lines', (block) => {
    const found = digestBlock(join(bucket, block));
    const expected = golden
      .filter((line) => line.block === block)
      .map(({ series, aggregate, chunks, samples, first, last, sha256 }): [string, unknown] => [
        `${series} ${aggregate}`,
        { chunks, samples, first, last, sha256 },
      ]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  });
});
