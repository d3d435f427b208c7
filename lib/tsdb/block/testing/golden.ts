import { createHash, type Hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatHistogram } from '../../../histogram/index.js';
import { codecKernel } from '../../../kernel/index.js';
import { ENCODING, HistogramDecoder, histogramAt, type InnerChunk } from '../../chunk/index.js';
import { sharedFolder } from '../testing.js';

/**
 * What blocks written by Prometheus' and Thanos' own code hold, hashed by them: a line per block, series and aggregate.
 */
export interface GoldenLine {
  readonly block: string;
  /** Labels in the text form of Prometheus. */
  readonly series: string;
  /** `raw` or one of AGGREGATES. */
  readonly aggregate: string;
  readonly chunks: number;
  readonly samples: number;
  readonly first: readonly string[] | null;
  readonly last: readonly string[] | null;
  readonly sha256: string;
}

/** Names of the aggregates, in the order of an aggregate chunk. */
export const AGGREGATES: readonly string[] = ['count', 'sum', 'min', 'max', 'counter'];

/** The bucket of golden blocks and its lines; null where there are no fixtures. */
export function goldenBucket(): { readonly folder: string; readonly lines: readonly GoldenLine[] } | null {
  const shared = sharedFolder();
  if (shared === null) return null;
  const folder = join(shared, 'fixtures/thanos-bucket');
  const lines = readFileSync(join(folder, 'golden.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as GoldenLine)
    // Blocks have lines of their own, without a series.
    .filter((line) => line.series !== undefined);
  return { folder, lines };
}

const decoder = new HistogramDecoder();
const times = new Float64Array(65536);
const values = new Float64Array(65536);
const bits = new BigUint64Array(values.buffer);

/** What one aggregate of a series comes to, chunk by chunk. */
export class Digest {
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
