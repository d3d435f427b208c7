import { codecKernel } from '../../lib/kernel/index.js';
import { BlockWriter } from '../../lib/tsdb/block/index.js';
import { labelsOf, nextValue } from '../load/index.js';

/**
 * Writes blocks of the benches' series: `node make-blocks.js DIRECTORY SERIES BLOCKS SAMPLES REPLICAS OVERLAP`. A
 * program of its own, as sorting the labels takes more memory than compaction.
 *
 * BLOCKS ranges of two hours follow one another, each with all series and SAMPLES samples of each, written REPLICAS
 * times; with OVERLAP `equal` replicas have the same chunks, with `shifted` the same samples in other chunks, so that all
 * of them must be merged. A last small block follows, which keeps Prometheus from leaving the others for later.
 */

const RANGE_MS = 7_200_000;
/** A multiple of 6 h, so that three ranges fill one of the next level. */
const START_MS = Math.floor(1_700_000_000_000 / (3 * RANGE_MS)) * 3 * RANGE_MS;
/** Series whose values differ; the others repeat them, as encoding is not what is measured. */
const PATTERNS = 1000;

const [directory = '', ...numbers] = process.argv.slice(2);
const [seriesCount = 0, blockCount = 0, sampleCount = 0, replicaCount = 1] = numbers.map(Number);
const isShifted = numbers[4] === 'shifted';

interface Chunk {
  readonly minTime: number;
  readonly maxTime: number;
  readonly encoding: number;
  readonly data: Uint8Array;
}

/** Numbers of the label strings of each series, sixteen per series, and the strings in order. */
function numberLabels(): { symbols: Buffer[]; labels: Uint32Array; width: number } {
  const ids = new Map<string, number>();
  const width = labelsOf(0).length * 2;
  const labels = new Uint32Array(seriesCount * width);
  for (let i = 0; i < seriesCount; i++) {
    let at = i * width;
    for (const pair of labelsOf(i)) {
      for (const text of pair) {
        let id = ids.get(text);
        if (id === undefined) ids.set(text, (id = ids.size));
        labels[at++] = id;
      }
    }
  }
  const texts = [...ids.keys()].map((text) => Buffer.from(text));
  const order = texts.map((_, i) => i).sort((a, b) => Buffer.compare(texts[a]!, texts[b]!));
  const ranks = new Uint32Array(order.length);
  for (const [rank, id] of order.entries()) ranks[id] = rank;
  for (let i = 0; i < labels.length; i++) labels[i] = ranks[labels[i]!]!;
  return { symbols: order.map((id) => texts[id]!), labels, width };
}

function chunksOf(pattern: number, start: number, perChunk: number, first: number): Chunk[] {
  const step = Math.floor(RANGE_MS / sampleCount);
  const times = Float64Array.from({ length: sampleCount }, (_, i) => start + i * step);
  const values = new Float64Array(sampleCount);
  for (let i = 0; i < sampleCount; i++) values[i] = nextValue(pattern, i, values[i - 1] ?? 0);
  const chunks: Chunk[] = [];
  for (let from = 0; from < sampleCount; ) {
    const to = Math.min(sampleCount, from + (from === 0 ? first : perChunk));
    const data = codecKernel().encodeXor(times.subarray(from, to), values.subarray(from, to), to - from);
    chunks.push({ minTime: times[from]!, maxTime: times[to - 1]!, encoding: 1, data });
    from = to;
  }
  return chunks;
}

const { symbols, labels, width } = numberLabels();
const order = Uint32Array.from({ length: seriesCount }, (_, i) => i).sort((a, b) => {
  for (let k = 0; k < width; k++) {
    const difference = labels[a * width + k]! - labels[b * width + k]!;
    if (difference !== 0) return difference;
  }
  return 0;
});
for (let block = 0; block <= blockCount; block++) {
  const isLast = block === blockCount;
  const minTime = START_MS + block * RANGE_MS;
  for (let replica = 0; replica < (isLast ? 1 : replicaCount); replica++) {
    const first = isShifted ? Math.max(1, Math.floor(sampleCount / (replica + 2))) : 120;
    const patterns = Array.from({ length: PATTERNS }, (_, i) => chunksOf(i, minTime, 120, first));
    const writer = BlockWriter.create(directory, { minTime, maxTime: minTime + RANGE_MS });
    writer.addSymbols(symbols);
    for (const i of order) {
      writer.addSeries(labels.subarray(i * width, (i + 1) * width), patterns[i % PATTERNS]!);
      if (isLast) break;
    }
    const meta = writer.finish();
    process.stdout.write(`${meta?.ulid ?? ''} ${isLast ? 'last' : 'source'}\n`);
  }
}
