import { VarveError } from '../errors/index.js';
import { codecKernel } from '../kernel/index.js';
import { compareLabelSets, type LabelSet } from '../labels/index.js';
import { createMatcher } from '../matcher/index.js';
import { ArrayArena, polled, type Queryable, type SelectHints, type SeriesSet } from '../storage/index.js';
import {
  beginMessage,
  endFrame,
  endMessage,
  type ReadQuery,
  writeChunk,
  writeHistogramOf,
  writeInteger,
  writeLabels,
  writeReadHistogram,
  writeSamples,
} from '../wire/index.js';
import { ByteWriter } from './json-bytes.js';
import { SeriesSampleReader } from './series-samples.js';
import type { ReadBudget } from './task.js';
import { GuardedArena, type TaskGuard } from './task-guard.js';

/** Answers remote read requests in a query thread: decoded samples, or chunks as they are. */

/** A frame of the stream is ended when labels and chunks in it reach this. */
const FRAME_BYTES = 1024 * 1024;

/**
 * A ReadResponse as one snappy block. Times inside the queries' bounds only.
 * @throws VarveError client `remote-read-samples` (answer 400, as Prometheus does)
 */
export async function readSamples(
  source: Queryable,
  queries: readonly ReadQuery[],
  { samplesMax, memoryBytesMax }: ReadBudget,
  guard: TaskGuard,
): Promise<Uint8Array<ArrayBuffer>> {
  const out = new ByteWriter(64 * 1024, (byteLength) => guard.checkAnswer(byteLength));
  const reader = new SeriesSampleReader();
  let samples = 0;
  for (const query of queries) {
    const found = await select(source, query, memoryBytesMax, guard);
    const result = beginMessage(out, 1);
    for (const i of found.order) {
      const series = { begin: 0, isBegun: false };
      for (const run of reader.read(found.set, i, found.arena, query.startMs, query.endMs)) {
        if (!series.isBegun) {
          series.begin = beginMessage(out, 1);
          series.isBegun = true;
          writeLabels(out, found.labels[i]!);
        }
        samples += run.timestamps.length;
        if (samplesMax > 0 && samples > samplesMax) {
          throw new VarveError('client', 'remote-read-samples', `exceeded sample limit (${samplesMax})`);
        }
        if (run.kind === 'floats') writeSamples(out, run.timestamps, run.values, 0, run.timestamps.length);
        else {
          run.histograms.forEach((histogram, k) => {
            writeReadHistogram(out, writeHistogramOf(run.timestamps[k]!, histogram));
          });
        }
      }
      if (series.isBegun) endMessage(out, series.begin);
    }
    endMessage(out, result);
  }
  return new Uint8Array(codecKernel().snappyEncode(out.bytes.subarray(0, out.length)));
}

/** A stream of ChunkedReadResponse frames, one series in each. Whole chunks: samples outside the bounds come along. */
export async function readChunks(
  source: Queryable,
  queries: readonly ReadQuery[],
  { memoryBytesMax }: ReadBudget,
  guard: TaskGuard,
): Promise<Uint8Array<ArrayBuffer>> {
  const out = new ByteWriter(64 * 1024, (byteLength) => guard.checkAnswer(byteLength));
  const checksumOf = (bytes: Uint8Array) => codecKernel().crc32c(bytes);
  for (const [index, query] of queries.entries()) {
    const { set, arena, labels, order } = await select(source, query, memoryBytesMax, guard);
    for (const i of order) {
      let c = set.chunkOffsets[i]!;
      const end = set.chunkOffsets[i + 1]!;
      while (c < end) {
        const begin = out.length;
        const series = beginMessage(out, 1);
        writeLabels(out, labels[i]!);
        for (let left = FRAME_BYTES - (out.length - begin); c < end && left > 0; c++) {
          const at = set.chunkAddresses[c]!;
          left -= writeChunk(out, {
            minTimeMs: set.chunkMinTimes[c]!,
            maxTimeMs: set.chunkMaxTimes[c]!,
            type: set.chunkEncodings[c]!,
            data: arena.bytes().subarray(at, at + set.chunkByteLengths[c]!),
          });
        }
        endMessage(out, series);
        writeInteger(out, 2, index);
        endFrame(out, begin, checksumOf);
      }
    }
  }
  return out.finish();
}

interface Selected {
  readonly set: SeriesSet;
  readonly arena: GuardedArena;
  /** By series of the set. */
  readonly labels: readonly LabelSet[];
  /** Series of the set by label set. */
  readonly order: readonly number[];
}

async function select(
  source: Queryable,
  query: ReadQuery,
  memoryBytesMax: number,
  guard: TaskGuard,
): Promise<Selected> {
  const arena = new GuardedArena(new ArrayArena(), guard, memoryBytesMax);
  const matchers = query.matchers.map(({ type, name, value }) => createMatcher(type, name, value));
  const hints: SelectHints = {
    minTimeMs: query.startMs,
    maxTimeMs: query.endMs,
    stepMs: 0,
    func: '',
    rangeMs: 0,
    withoutChunks: false,
    limit: 0,
  };
  const set = await source.select(matchers, hints, arena);
  const labels: LabelSet[] = [];
  for (let i = 0; i < set.seriesCount; i++) {
    if (i % 4096 === 0) guard.check();
    const own: { name: string; value: string }[] = [];
    for (let at = set.labelOffsets[i]!; at < set.labelOffsets[i + 1]!; at += 2) {
      own.push({ name: set.symbols.text(set.labels[at]!), value: set.symbols.text(set.labels[at + 1]!) });
    }
    labels.push(own);
  }
  const order = labels.map((_, i) => i);
  order.sort(
    polled(
      (a: number, b: number) => compareLabelSets(labels[a]!, labels[b]!),
      () => guard.check(),
    ),
  );
  return { set, arena, labels, order };
}
